"""Draws layers.svg, the picture of the layers: python docs/layers.py."""

from pathlib import Path

ROWS = (
    (("cli", "the command line"),),
    (("dashboard", "a local page of runs, a playground of beta"),),
    (("reproduce", "the paper's tables"),),
    (("bench", "comparisons, fidelity, speed"),),
    (("runs", "run folder, figures, agents"),),
    (("run", "the one loop: rows, checkpoints"),),
    (("env", "DataGenEnv, Episode, options, generator, probes"),),
    (("tasks", "the environments' tasks"),),
    (("task", "what an author writes"),),
    (("domains", "validation and test images"), ("generators", "declarations of one's own")),
    (("learning", "training, reverse, gradients"),),
    (("data", "readers of datasets"),),
    (("scenes", "rooms, heads, furniture, textures"),),
    (("render", "meshes"), ("csg", "shapes"), ("quantities", "what is learned")),
    (
        ("batch", "images, truth"),
        ("beta", "distributions, noise, box"),
        ("rotations", "turns"),
        ("workers", "processes, Ray"),
        ("process", "other programs"),
    ),
)
WIDTH, HEIGHT, GAP, LEFT, ASIDE = 640, 40, 10, 16, 190


def box(x: float, y: float, width: float, height: float, name: str, what: str, fill: str) -> list[str]:
    middle = x + width / 2
    return [
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" fill="{fill}" stroke="#555"/>',
        f'<text x="{middle:g}" y="{y + height / 2 - 3:g}" font-weight="bold">{name}</text>',
        f'<text x="{middle:g}" y="{y + height / 2 + 13:g}" font-size="11">{what}</text>',
    ]


def picture() -> str:
    lines, total = [], 2 * LEFT + WIDTH + GAP + ASIDE
    for number, row in enumerate(ROWS):
        width = (WIDTH - GAP * (len(row) - 1)) / len(row)
        for column, (name, what) in enumerate(row):
            fill = "#dbe9f6" if name in ("task", "tasks", "domains", "quantities") else "#f4f4f4"
            lines += box(LEFT + column * (width + GAP), LEFT + number * (HEIGHT + GAP), width, HEIGHT, name, what, fill)
    two_rows = 2 * HEIGHT + GAP
    lines += box(LEFT + WIDTH + GAP, LEFT, ASIDE, two_rows, "optimizers", "import nothing of hgenv", "#e6f2df")
    height = 2 * LEFT + len(ROWS) * (HEIGHT + GAP) - GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}"'
    style = ' font-family="sans-serif" font-size="14" text-anchor="middle" fill="#111">'
    paper = f'<rect width="{total}" height="{height}" fill="white"/>'
    return "\n".join([head + style, "<title>The layers of hgenv</title>", paper, *lines, "</svg>"]) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("layers.svg").write_text(picture())
