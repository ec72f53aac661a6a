"""Questions that no scene can answer: they are about what is not of this world of shapes."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from types import MappingProxyType

from cof_agent.scenes.palette import pick, shuffled
from cof_agent.scenes.wording import with_options

MOST_OPTIONS = 4

WORDINGS: Mapping[str, str] = MappingProxyType(
    {
        "What is the weather like?": "sunny, cloudy, rainy, snowy, foggy",
        "Is it raining in this picture?": "yes, no",
        "Was this taken by day or by night?": "by day, by night",
        "Which season is it?": "spring, summer, autumn, winter",
        "How warm is it outside?": "freezing, cool, warm, hot",
        "How many people are waiting?": "one, two, three, four, five",
        "How many people are in the background?": "one, two, three, four, more",
        "Who is the person in the middle?": "a doctor, a teacher, an actor, a sailor, a judge",
        "What is the name of the person on the left?": "Anna, Peter, Maria, John, Olga",
        "How old is the {person}?": "under 20, 20 to 40, 40 to 60, over 60",
        "What is the {person} holding?": "a cup, a phone, an umbrella, a book, a bag",
        "What is the {person} wearing on the head?": "a hat, a helmet, a scarf, a cap",
        "Is the {person} smiling?": "yes, no",
        "Where is the {person} looking?": "to the left, to the right, up, at the camera",
        "Which brand is the {vehicle}?": "Ford, Toyota, Fiat, Volvo, Honda",
        "How many doors does the {vehicle} have?": "two, three, four, five",
        "What is the number plate of the {vehicle}?": "KL 482, MX 913, TR 557, AB 206",
        "Is the {vehicle} parked or moving?": "parked, moving",
        "Who drives the {vehicle}?": "a man, a woman, a soldier, a child",
        "What does the sign say?": "Exit, Open, Stop, Closed, Welcome",
        "What is written on the shop window?": "Sale, Bakery, Closed, Books, Flowers",
        "Which speed limit does the road sign give?": "30, 50, 80, 120",
        "In which language is the poster?": "English, French, German, Spanish, Italian",
        "What is the headline of the newspaper?": "an election, a storm, a match, a concert",
        "What does the menu cost?": "5 euros, 8 euros, 12 euros, 20 euros",
        "Is the {animal} asleep?": "yes, no",
        "Which breed is the {animal}?": "a common one, a rare one, a mixed one, a young one",
        "How many legs of the {animal} can be seen?": "one, two, three, four",
        "What is the {animal} eating?": "grass, meat, fish, bread, corn",
        "Does the {animal} wear a collar?": "yes, no",
        "Which city is this?": "Paris, London, Rome, Berlin, Madrid",
        "In which country was this photo taken?": "France, Japan, Brazil, Canada, Kenya",
        "Which street is shown here?": "Main Street, Park Lane, Station Road, Church Street",
        "Is this a beach or a desert?": "a beach, a desert",
        "What is the name of the river?": "Thames, Rhine, Seine, Danube, Nile",
        "How many windows does the house have?": "two, four, six, eight, ten",
        "What is the roof made of?": "tiles, slate, straw, metal, glass",
        "On which floor is the open window?": "the first, the second, the third, the fourth",
        "Is the door open or closed?": "open, closed",
        "Which building is the tallest?": "the church, the school, the bank, the station",
        "What time does the clock show?": "two o'clock, half past six, nine o'clock, noon",
        "At what time does the next train leave?": "9:15, 10:40, 12:05, 17:30",
        "Which platform does the train leave from?": "1, 2, 5, 7",
        "Where does the bus go?": "to the centre, to the airport, to the harbour, to the zoo",
        "How many boats are on the lake?": "one, two, three, five, ten",
        "Which tree is in the garden?": "an oak, a pine, a birch, a palm, a willow",
        "How many apples are in the bowl?": "two, three, four, six, eight",
        "Is the cup full or empty?": "full, empty",
        "What is on the table?": "a lamp, a plate, a vase, a laptop, a candle",
        "Which book lies on the shelf?": "a novel, an atlas, a cookbook, a dictionary",
        "What is the telephone number on the card?": "555 0134, 555 0178, 555 0192, 555 0111",
        "Who painted this picture?": "Monet, Klee, Picasso, Vermeer, Dürer",
    }
)  # fmt: skip
"""Wordings of the train and validation splits, each with what may be offered as options."""

HELD_OUT: Mapping[str, str] = MappingProxyType(
    {
        "Which instrument is being played?": "a piano, a violin, a drum, a flute, a guitar",
        "Who is singing?": "a choir, a girl, a man, a duo",
        "What is the score of the match?": "1 to 0, 2 to 2, 3 to 1, 0 to 4",
        "Which team has the ball?": "the home team, the visitors",
        "Which sport is shown?": "tennis, football, hockey, golf, rowing",
        "How many candles are on the cake?": "three, five, eight, ten, twelve",
        "What flavour is the ice cream?": "vanilla, chocolate, lemon, mint, coffee",
        "Is the soup hot?": "yes, no",
        "Which kind of bread is this?": "rye, wheat, corn, oat",
        "What is the password on the screen?": "1234, qwerty, sesame, letmein",
        "Which app is open on the phone?": "a map, a calendar, a game, a mail",
        "How much battery is left?": "10 percent, 35 percent, 60 percent, 90 percent",
        "Which planet is this?": "Mars, Venus, Saturn, Jupiter, Neptune",
        "How deep is the water?": "1 metre, 3 metres, 10 metres, 50 metres",
        "Is the volcano active?": "yes, no",
        "Which mountain is in the distance?": "Etna, Everest, Fuji, Elbrus, Olympus",
        "How tall is the tower?": "20 metres, 50 metres, 100 metres, 300 metres",
        "Who won the election?": "the mayor, the teacher, the lawyer, the farmer",
        "Which president is on the coin?": "Lincoln, Washington, Jefferson, Roosevelt",
        "What year is on the stamp?": "1912, 1945, 1968, 1989",
        "Which bone is broken?": "the wrist, the ankle, the rib, the shoulder",
        "What does the patient suffer from?": "a cold, a fever, an allergy, a burn",
        "Are the curtains drawn?": "yes, no",
        "Which fabric is the dress made of?": "cotton, silk, wool, linen",
        "How many passengers are on the plane?": "12, 80, 150, 300",
        "What is the dancer's next step?": "a turn, a jump, a bow, a slide",
    }
)
"""Wordings of the test split, which no other has, about things that the others are not about."""

_SLOTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "person": ("man", "woman", "child", "driver", "cook", "tourist"),
        "vehicle": ("car", "truck", "bus", "van", "taxi"),
        "animal": ("dog", "cat", "horse", "cow", "bird"),
    }
)


def ask_foreign(held_out: bool, rng: Random) -> tuple[str, tuple[str, ...]]:
    """What is asked, and its options, which half of the questions have. `held_out`: in the words of the test split."""
    wordings = HELD_OUT if held_out else WORDINGS
    form = pick(rng, tuple(wordings))
    text = form.format(**{slot: pick(rng, values) for slot, values in _SLOTS.items()})
    if rng.random() < 0.5:
        return text, ()
    options = shuffled(wordings[form].split(", "), rng)[:MOST_OPTIONS]
    return with_options(text, options, rng), tuple(options)
