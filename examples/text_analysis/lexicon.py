"""The words of the example: what the documents are made of, and which of them carry a sentiment."""

from __future__ import annotations

from typing import Final

POSITIVE: Final = (
    "admirable", "beautiful", "brilliant", "charming", "clever", "delightful", "elegant", "excellent", "exciting",
    "fantastic", "fine", "generous", "good", "great", "helpful", "impressive", "lovely", "marvellous", "outstanding",
    "perfect", "pleasant", "reliable", "remarkable", "superb", "wonderful",
)  # fmt: skip

NEGATIVE: Final = (
    "annoying", "awful", "bad", "boring", "broken", "clumsy", "confusing", "disappointing", "dreadful", "dull",
    "frustrating", "horrible", "miserable", "poor", "sloppy", "terrible", "tiresome", "ugly", "unpleasant",
    "unreliable", "useless", "weak", "worthless", "wretched", "wrong",
)  # fmt: skip

PLAIN: Final = (
    "annual", "blue", "central", "common", "daily", "early", "local", "long", "narrow", "new", "northern", "old",
    "quiet", "recent", "second", "short", "small", "southern", "usual", "wide",
)  # fmt: skip

NOUNS: Final = (
    "album", "answer", "author", "bicycle", "book", "bridge", "camera", "chapter", "city", "coffee", "committee",
    "computer", "concert", "conversation", "department", "dinner", "engine", "exhibition", "film", "garden", "hotel",
    "kitchen", "laboratory", "letter", "library", "machine", "market", "meeting", "museum", "newspaper", "opinion",
    "organisation", "performance", "phone", "photograph", "picture", "recipe", "report", "restaurant", "river", "room",
    "school", "service", "song", "station", "story", "street", "theatre", "ticket", "train", "village", "weather",
)  # fmt: skip

VERBS: Final = (
    "accompanies", "becomes", "carries", "changes", "closes", "covers", "crosses", "describes", "explains", "finds",
    "follows", "holds", "introduces", "joins", "keeps", "leaves", "meets", "mentions", "needs", "opens", "reaches",
    "remembers", "replaces", "shows", "surrounds", "takes", "visits",
)  # fmt: skip

# The curly apostrophe is what people paste; the pipe's first stage makes it a plain one.
DETERMINERS: Final = ("the", "the", "the", "a", "this", "that", "every", "everyone\N{RIGHT SINGLE QUOTATION MARK}s")
LINKS: Final = ("and", "but", "because", "while", "near", "with", "before", "after")

# Words too common to say what a document is about.
STOP_WORDS: Final = frozenset({"the", "a", "this", "that", "every", "everyone's", *LINKS})
