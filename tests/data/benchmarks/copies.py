"""Small copies of benchmarks, for the tests beside it: pictures in base64, TSV files, and what every item must satisfy."""

import base64
import csv
import io
import json

from PIL import Image

from cof.scoring.answers import score

SIZE = (40, 30)


def picture(size=SIZE, form="JPEG"):
    buffer = io.BytesIO()
    Image.new("RGB", size, "teal").save(buffer, form)
    return buffer.getvalue()


def in_base64(size=SIZE, form="JPEG"):
    return base64.b64encode(picture(size, form)).decode()


def write_tsv(path, rows):
    """As pandas writes it: tabs, and quotes only where they are needed."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def check(items):
    """Ids are unique, the truth is a choice, gold scores 1 and an empty answer 0, pictures decode."""
    items = list(items)
    assert len({item.question.id for item in items}) == len(items)
    for item in items:
        asked = item.question
        assert asked.choices == () or asked.answer in asked.choices
        letters = [chr(ord("A") + asked.choices.index(asked.answer))] if asked.choices else []
        assert all(score(asked, said).value == 1.0 for said in (asked.answer, f"It is {asked.answer}.", *letters))
        assert score(asked, "").value == score(asked, None).value == 0.0
        assert item.load().size == SIZE
        assert item.load().mode == "RGB"
    return items


def one_line(error):
    message = str(error.value)
    assert "\n" not in message
    assert len(message) < 500
    return message
