import cof_agent.integrations.smolagents as home


class ChainOfFocusTool(home.ChainOfFocusTool):
    def __init__(self):
        super().__init__("script:turns.json", regions=False)
