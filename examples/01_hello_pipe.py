"""Hello, pipe: three stages that run at the same time, and every input ends in one place.

Run it:

    python examples/01_hello_pipe.py

You should see:

    long: ['to be or not to be']
    default: ['alas', 'words, words, words']
    skipped: 42 in clean, AttributeError: 'int' object has no attribute 'strip'
    4 in = 3 out + 1 skipped
"""

import slither_actors as slither


def count_words(texts):
    """Runs in worker processes: a list in, a list of the same length out."""
    return [{"text": text, "words": len(text.split())} for text in texts]


class Review(slither.Pipe):
    @slither.local
    def clean(item: slither.Item):
        return item.payload.strip()

    count = slither.worker(count_words, batch_size=32)
    sort = slither.router((lambda item: item.payload["words"] > 3, "long"))
    outputs = ["long"]
    on_error = {"clean": "skip", "*": "halt"}


with slither.start(pools={"default": 2}) as system:
    outputs = system.run_pipe(Review, ["to be or not to be", "  alas  ", 42, "words, words, words"])

for name in ("long", "default"):
    print(f"{name}: {[item.payload['text'] for item in outputs[name]]}")
for item in outputs.skipped:
    print(f"skipped: {item.payload} in {item.meta['stage']}, {item.meta['error']}")
where = outputs.accounting
print(f"{where.inputs} in = {where.outputs} out + {where.skipped} skipped")
