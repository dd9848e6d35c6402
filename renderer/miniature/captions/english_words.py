"""The English words of the captions."""

from __future__ import annotations

from renderer.miniature.captions.words import Options, Words

KIND: Words = {
    "girl": ("little girl", "girl", "young girl"),
    "boy": ("little boy", "boy", "young boy"),
    "woman": ("woman", "young woman", "lady"),
    "man": ("man", "young man", "gentleman"),
}

PLURAL: Words = {
    "girl": ("little girls", "girls", "young girls"),
    "boy": ("little boys", "boys", "young boys"),
    "woman": ("women", "young women", "ladies"),
    "man": ("men", "young men"),
}

HAIR_COLOR: Words = {
    color: (color,) for color in ("purple", "black", "brown", "blonde", "pink", "blue", "red", "silver")
}

HAIR: Words = {
    "short": ("short {color}hair",),
    "long": ("long {color}hair",),
    "ponytail": ("a {color}ponytail", "{color}hair in a ponytail"),
    "twintails": ("{color}twintails", "{color}pigtails", "{color}hair in twintails"),
}

HAIR_TAG: Words = {
    "short": ("short hair",),
    "long": ("long hair",),
    "ponytail": ("ponytail",),
    "twintails": ("twintails", "pigtails"),
}

OUTFIT: Words = {
    "dress": ("dress",),
    "shirt": ("t-shirt", "shirt", "tee"),
    "coat": ("coat", "jacket"),
    "sweater": ("sweater", "knitted sweater", "jumper"),
    "uniform": ("school uniform", "uniform"),
}

OUTFIT_COLOR: Words = {
    color: (color,) for color in ("pink", "black", "white", "blue", "red", "yellow", "green", "purple")
}

ACCESSORY: Words = {
    "glasses": ("glasses",),
    "hat": ("a hat",),
    "scarf": ("a scarf",),
    "bow": ("a hair bow", "a bow in the hair", "a hair ribbon"),
}

EXPRESSION: Words = {
    "smiling": ("smiling", "with a smile", "gentle smile"),
    "laughing": ("laughing", "laughing happily", "happy", "joyful"),
    "crying": ("crying", "sad", "in tears", "sad and crying"),
    "bored": ("bored", "looking bored", "bored expression"),
    "singing": ("singing", "singing with open mouth", "singing a song"),
    "eyes_closed": ("eyes closed", "with closed eyes", "closing eyes"),
    "surprised": ("surprised", "looking surprised", "astonished", "shocked"),
    "angry": ("angry", "looking angry", "furious", "angry face"),
}

FEELING: Words = {
    "smiling": ("smiling",),
    "laughing": ("laughing", "laughing happily"),
    "crying": ("crying",),
    "bored": ("bored",),
    "singing": ("singing", "singing a song"),
    "eyes_closed": ("with {their} eyes closed",),
    "surprised": ("surprised",),
    "angry": ("angry",),
}
"""After a verb: sits bored."""

ACTION: Words = {
    "resting": ("arms down", "hands at the sides"),
    "waving": ("waving", "waving a hand", "waving hello"),
    "arms_raised": ("arms raised", "raising both arms", "cheering", "hands up"),
    "hand_on_chin": ("hand on chin", "chin in hands", "resting chin on hand", "hand on cheek"),
    "hands_clasped": ("hands clasped", "making a wish", "praying", "hands together"),
    "microphone": ("holding a microphone", "with a microphone", "microphone in hand"),
    "reading": ("reading a book", "reading", "holding a book", "with an open book"),
    "umbrella": ("holding an umbrella", "under an umbrella", "with an umbrella"),
    "cup": ("holding a cup", "holding a mug", "with a cup of hot tea", "drinking tea"),
    "flower": ("holding a flower", "with a flower", "flower in hand"),
}

ACTION_OF_TWO: Words = {**ACTION, "cup": ("holding cups", "both holding a cup", "holding mugs", "drinking tea")}

DOING: Words = {
    "resting": ("resting {their} arms",),
    "waving": ("waving", "waving hello"),
    "arms_raised": ("raising {their} arms", "cheering"),
    "hand_on_chin": ("resting {their} chin in {their} hands", "resting {their} chin on one hand"),
    "hands_clasped": ("making a wish", "clasping {their} hands", "praying"),
    "microphone": ("holding a microphone",),
    "reading": ("reading a book", "reading"),
    "umbrella": ("holding an umbrella",),
    "cup": ("holding a cup", "holding a mug", "drinking tea"),
    "flower": ("holding a flower",),
}
"""The action as the verb of a sentence, after "is" or "are"."""

DOING_OF_TWO: Words = {**DOING, "cup": ("holding cups", "holding mugs", "drinking tea")}

SEAT: Words = {
    "living_room": ("on the {sofa}sofa", "on a {sofa}sofa", "on the {sofa}couch"),
    "bedroom": ("on the bed",),
    "library": ("in the armchair", "on a chair"),
    "train": ("on the seat", "by the window"),
    "park": ("on the bench", "on a bench"),
}

SEAT_IN_PLACE: Words = {
    "living_room": ("on the {sofa}sofa at home", "on the {sofa}sofa in the living room"),
    "bedroom": ("on the bed in the bedroom",),
    "library": ("in an armchair in the library", "in the library"),
    "train": ("on the train", "on the train by the window"),
    "park": ("on a park bench", "on the park bench", "on a bench in the park"),
}

SPOT: Words = {
    "living_room": ("in the living room", "at home in the living room", "at home"),
    "bedroom": ("in the bedroom", "in a bedroom", "by the bed"),
    "kitchen": ("in the kitchen", "in a kitchen"),
    "classroom": ("in the classroom", "in a classroom", "at school"),
    "library": ("in the library", "in a library", "in front of the bookshelves"),
    "practice_room": ("in the practice room", "in the dance studio", "in the rehearsal room"),
    "fitting_room": ("in the fitting room", "in a fitting room", "in the changing room"),
    "stage": ("on the stage", "on stage", "in the spotlight", "at a concert on stage"),
    "train": ("on the train", "on a train", "inside a train"),
    "street": ("on a city street", "in the city", "on the street"),
    "park": ("in the park", "in a park", "at the park"),
    "forest": ("in the forest", "in a forest", "in the woods"),
    "seaside": ("by the sea", "at the seaside", "at the beach", "on the beach"),
    "snow": ("in the snow", "in a snowy field", "in the winter snow"),
    "rain": ("in the rain", "in the pouring rain"),
    "starry_sky": ("under the starry sky", "under a sky full of stars", "under a shooting star"),
}

NAME: Words = {
    "living_room": ("living room",),
    "bedroom": ("bedroom",),
    "kitchen": ("kitchen",),
    "classroom": ("classroom",),
    "library": ("library",),
    "practice_room": ("practice room", "dance studio", "rehearsal room"),
    "fitting_room": ("fitting room", "changing room"),
    "stage": ("stage", "concert stage"),
    "train": ("train", "train carriage"),
    "street": ("city street", "street"),
    "park": ("park",),
    "forest": ("forest", "woods"),
    "seaside": ("seaside", "beach", "sea"),
    "snow": ("snow", "snowy field"),
    "rain": ("rain", "rainy weather"),
    "starry_sky": ("starry sky", "sky full of stars"),
}

EVENT: Words = {
    "practice_room": ("practising in the dance studio", "practising in the practice room", "at dance practice"),
    "fitting_room": ("in front of the mirror in the fitting room", "looking in the mirror in the fitting room"),
    "stage": ("performing on stage",),
    "train": ("riding the train", "on the train by the window"),
    "street": ("walking down the street",),
    "forest": ("walking in the forest",),
    "snow": ("snowing", "with a snowman"),
    "rain": ("raining", "walking in the rain"),
    "starry_sky": ("with a shooting star",),
}
"""What people do or what happens in a place; it names the place."""

TOGETHER: Words = {
    "rain umbrella": ("under an umbrella in the rain", "walking in the rain with an umbrella"),
    "library reading": ("reading a book in the library", "reading in the library"),
    "train reading": ("reading on the train",),
    "stage microphone": ("on stage with a microphone",),
}
"""A place and an action in one breath."""

TIME: Words = {"day": ("by day", "daytime", "day"), "sunset": ("at dusk", "evening"), "night": ("at night", "night")}
TIME_OUTDOORS: Words = {
    "day": ("by day", "daytime", "sunny day", "day"),
    "sunset": ("at sunset", "sunset", "at dusk", "evening"),
    "night": ("at night", "night", "night time"),
}
"""For places under the open sky where neither snow nor rain falls."""

FRAMING: Words = {
    "close": ("close-up", "portrait", "face close-up", "headshot"),
    "half": ("half body", "medium shot", "upper body", "waist up"),
    "full": ("full body", "full shot", "full-length"),
    "wide": ("wide shot", "long shot", "small figure"),
}

STYLE: Words = {
    "plain": ("anime style", "anime", "cartoon", "picture book illustration", "children's book style"),
    "night_blue": ("night blue style", "midnight blue style", "blue duotone", "blue monochrome"),
    "warm_paper": ("warm paper style", "old paper style", "sepia tones", "vintage paper"),
    "pencil": ("pencil drawing", "pencil sketch", "graphite sketch", "black and white pencil"),
}

SOFA_COLOR: Words = {color: (color,) for color in ("red", "blue", "green")}

THING: Words = {
    "cat": ("cat", "kitten"),
    "dog": ("dog", "puppy"),
    "rabbit": ("rabbit", "bunny"),
    "bird": ("bird",),
    "balloon": ("balloon",),
    "bicycle": ("bicycle", "bike"),
}

THING_COLOR: Words = {
    color: (color,) for color in ("black", "white", "orange", "brown", "grey", "blue", "yellow", "red")
}

COUNT = {2: "two", 3: "three"}

BESIDE: Options = ("with", "beside", "next to")
NOBODY: Options = ("no one", "no people", "nobody", "no humans", "empty scene")
SCENERY: Options = ("scenery", "landscape")

FILLERS: Options = (
    "masterpiece",
    "best quality",
    "cute",
    "Mei",
    "Lily",
    "Tom",
    "Leo",
    "warm colors",
    "clean lines",
    "detailed",
    "once upon a time",
)
"""Words that a prompt may well hold and a picture cannot show: the model learns to read past them."""
