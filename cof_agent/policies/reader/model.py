"""The policy `reader`: a visual search agent for text, as a chat model that speaks the `cof` dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from cof_agent.policies.reader import wording
from cof_agent.policies.reader.agreeing import Outcome, together
from cof_agent.policies.reader.marks.character import Lookout
from cof_agent.policies.reader.page.finding import FIT, Finding, ReadPage, ambiguous
from cof_agent.policies.reader.page.match import find_answers, says_otherwise
from cof_agent.policies.reader.page.ocr import shared_reader
from cof_agent.policies.reader.page.search import Search, Zoom
from cof_agent.policies.reader.page.text import read_page
from cof_agent.policies.reader.question.ask import CharacterAsk, Form, TextAsk
from cof_agent.policies.reader.question.options import split_options
from cof_agent.policies.reader.question.parsing import single_character, understand
from cof_agent.policies.reader.question.several import (
    NO_IMAGE,
    asks_for_any,
    images_named,
    option_for,
    ordinal,
    unresolved,
    words_asked_for,
)
from cof_agent.policies.reader.session import Session, read_session
from cof_agent.policies.reader.words import squeeze


class ReaderModel(BaseChatModel):
    """Answers questions about text visible in images, from the views it was shown and nothing else.

    It keeps no state: every turn is worked out from the messages, with what was read of each view cached. It answers
    when a text fits the question and was read with certainty, zooms while a closer look can help, and declines
    otherwise. The same messages always get the same reply.
    """

    max_zooms: int = 6
    """Zooms it asks for at most before it answers or declines."""
    max_unread: int = 3
    """Of these, looks at unread text before it says "no" to a yes-or-no question."""
    page_text: bool = False
    """Whether it takes the words of a page's own text where a view shows them; else it reads all views by OCR."""
    margin: float = 1.5
    """How far the loop enlarges a box that is zoomed on."""
    max_pixels: int = 1280 * 28**2
    """Largest area at which the loop shows a region."""

    @property
    def _llm_type(self) -> str:
        return "cof-reader"

    def warm_up(self) -> None:
        """Load RapidOCR, which takes seconds, before the first question does."""
        shared_reader().load()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        session = read_session(messages, shared_reader(), self.margin, page_text=self.page_text)
        turn = self._of_several(session) if session.images > 1 else self._turn(session)
        return ChatResult(generations=[ChatGeneration(message=turn)])

    def _of_several(self, session: Session) -> AIMessage:
        """The turn for a question about several images."""
        named = images_named(session.question)
        if len(named) > 1:
            return AIMessage(wording.unsure("the question compares images, and reading tells only what each says"))
        if named:
            (one,) = named
            at = session.images - 1 if one.image == -1 else one.image
            if one.image == NO_IMAGE or at >= session.images:
                return AIMessage(wording.unsure(f"there is no image {max(at, -1) + 1} among the {session.images}"))
            return self._turn(replace(session.of(at), question=one.question))
        words = words_asked_for(session.question)
        if not words and (why := unresolved(session.question)):
            return AIMessage(wording.unsure(why))
        ask = understand(f'Does it say "{words}"?' if words else session.question)
        if ask.form is Form.PICTURE or (not words and single_character(session.question)):
            return AIMessage(wording.unsure("it is not a question for a text that stands in one of the images"))
        parts = [session.of(at) for at in range(session.images)]
        scenes = [self._scene(part, ask, deep=False) for part in parts]
        found: list[Outcome] = []
        for at, part in enumerate(parts):
            first = None if self._needs_all(scenes[at]) else self._settle(scenes[at], part)
            if not isinstance(first, Finding | Zoom):
                scenes[at] = self._scene(part, ask, deep=True)
                first = self._settle(scenes[at], part)
            found.append(first)
        if all(outcome is None for outcome in found):
            found = [self._seek(scene, part) for scene, part in zip(scenes, parts, strict=True)]
        at, chosen = together(found, scenes, parts, words)
        if isinstance(chosen, Finding) and not words:
            yes = sum(isinstance(one, Finding) and one.answer != "no" for one in found)
            if ask.form is Form.YES_NO and 0 < yes < len(found) and not asks_for_any(session.question):
                chosen = "only some of the images say so; name one, as in “on image 1”, or ask “Is there …?”"
        if isinstance(chosen, Finding) and session.urged and self._may_zoom(session):
            chosen = self._search(scenes[at], parts[at]).again(chosen) or chosen
        if isinstance(chosen, Zoom):
            return AIMessage(wording.zooming(chosen, at))
        if isinstance(chosen, str):
            return AIMessage(wording.declining(chosen, ask, [text for scene in scenes for text in scene.texts]))
        said = f"the {ordinal(at)} image" if words else chosen.answer
        if words and split_options(session.question)[1]:
            option = option_for(at, session.question, [[text.text for text in scene.texts] for scene in scenes])
            if option is None:
                return AIMessage(wording.unsure(f"{said} says “{words}”, and no option names that image alone"))
            said = str(option)
        answer = replace(chosen, answer=said)
        return AIMessage(wording.answering(answer), additional_kwargs={"cof_evidence": wording.evidence(answer)})

    def _turn(self, session: Session) -> AIMessage:
        if (wanted := single_character(session.question)) and (reply := self._character(wanted, session)):
            return reply
        ask = understand(session.question)
        scene = self._scene(session, ask, deep=False)
        if ask.form is Form.PICTURE:
            return AIMessage(
                wording.declining("the question is about the picture, not about text in it", ask, scene.texts)
            )
        first = None if self._needs_all(scene) else self._settle(scene, session)
        if first is None or (isinstance(first, str) and not self._may_zoom(session)):
            scene = self._scene(session, ask, deep=True)
            first = self._settle(scene, session) or self._seek(scene, session)
        if isinstance(first, Finding) and session.urged and self._may_zoom(session):
            first = self._search(scene, session).again(first) or first
        if isinstance(first, Zoom):
            return AIMessage(wording.zooming(first, session.image))
        if isinstance(first, Finding):
            return AIMessage(wording.answering(first), additional_kwargs={"cof_evidence": wording.evidence(first)})
        return AIMessage(wording.declining(first, ask, scene.texts))

    def _character(self, ask: CharacterAsk, session: Session) -> AIMessage | None:
        """The turn for a question about one character; None where what it asks about holds more, or cannot be told by
        its outline and is not found by its colour."""
        if session.overview.data is None:
            raise AssertionError("the overview is never dropped")
        may_zoom = self._may_zoom(session)
        lookout = Lookout(ask, session.looks, session.asked, shared_reader(), self.margin, self.max_pixels)
        found = lookout.answer(last=not may_zoom)
        zoom = lookout.again(found) if isinstance(found, Finding) and session.urged else None
        if not isinstance(found, Finding):
            if ask.loose and self._worded(ask, session):
                return None
            zoom = lookout.closer() if may_zoom else None
            found = found if zoom else lookout.answer(last=True)
        if zoom and may_zoom:
            return AIMessage(wording.zooming(zoom, session.image))
        if isinstance(found, Finding):
            return AIMessage(wording.answering(found), additional_kwargs={"cof_evidence": wording.evidence(found)})
        return AIMessage(wording.unsure(found)) if ask.shape else None

    def _worded(self, ask: CharacterAsk, session: Session) -> bool:
        """Whether a text of several letters stands on the colour that the question names."""
        scene = self._scene(session, TextAsk(ask.text, Form.SAY, colour=ask.colour, side=ask.side), deep=False)
        return any(len(squeeze(text.text)) > 1 and scene.placed([text]) for text in scene.readable(0.8))

    def _needs_all(self, scene: ReadPage) -> bool:
        """Whether smaller text must be read before one can say what stands out: nothing so far is large."""
        return scene.ask.form in (Form.SAY, Form.NAME) and scene.tallest < 0.035 * max(scene.picture.size)

    def _scene(self, session: Session, ask: TextAsk, *, deep: bool) -> ReadPage:
        reader, overview = shared_reader(), session.overview
        if overview.data is None:
            raise AssertionError("the overview is never dropped")
        return ReadPage(ask, read_page(session.looks, reader, deep=deep), reader.picture(overview.data))

    def _may_zoom(self, session: Session) -> bool:
        return session.offered and not session.closing and len(session.boxes) < self.max_zooms and session.refused < 2

    def _search(self, scene: ReadPage, session: Session) -> Search:
        return Search(scene, session.looks, session.asked, self.margin, self.max_pixels)

    def _settle(self, scene: ReadPage, session: Session) -> Finding | Zoom | str | None:
        """An answer, a closer look at one, why there is none, or None when more must be read first."""
        findings = find_answers(scene)
        if not findings or findings[0].fit < FIT:
            return None
        rivals = [finding for finding in findings if findings[0].fit - finding.fit < 0.07]
        if self._may_zoom(session):
            search = self._search(scene, session)
            for finding in rivals:
                if not finding.sure and (zoom := search.confirm(finding)):
                    return zoom
        if ambiguous(findings):
            return f"several texts fit and nothing tells them apart (“{findings[0].answer}”, “{findings[1].answer}”)"
        best = findings[0]
        if best.sure or best.fair:
            return best
        return None

    def _seek(self, scene: ReadPage, session: Session) -> Finding | Zoom | str:
        """What to do when nothing read so far answers the question."""
        ask, zoom = scene.ask, None
        if self._may_zoom(session) and ask.searches:
            search = self._search(scene, session)
            if ask.form is Form.YES_NO:
                zoom = search.unread() if len(session.asked) < self.max_unread else None
            elif ask.form in (Form.SAY, Form.NAME) and any(text.sure for text in scene.texts):
                zoom = search.unread()  # what stands out is large: no tile hides it
            else:
                zoom = search.next()
        if zoom:
            return zoom
        if ask.form is Form.YES_NO and (no := says_otherwise(scene)):
            return no
        if findings := find_answers(scene):
            return f"what may be the answer (“{findings[0].answer}”) is not certain enough"
        return "no text that could be read answers this"
