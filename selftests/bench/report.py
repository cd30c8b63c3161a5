# SPDX-License-Identifier: GPL-2.0
"""What is printed and drawn of the results."""

import math
from xml.sax.saxutils import escape


def number(value):
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio_text(ratio):
    if isinstance(ratio, dict):
        return f"{number(ratio['median'])} ({number(ratio['low'])}..{number(ratio['high'])})"
    return number(ratio)


def table(rows):
    """The first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join([row[0].ljust(widths[0])] +
                               [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
                     for row in rows)


def values(measures, took):
    """The measures of a group, a column for each allocator."""
    if not measures:
        return ""
    group = measures[0]["group"]
    if group == "bad":
        return bad(measures, took)
    names = list(dict.fromkeys(name for measure in measures for name in measure["values"]))
    head = [name.split() if " " in name else ["", name] for name in names]
    rows = [["", *(" ".join(words[:-1]) for words in head)],
            [f"{group} ({took})", *(words[-1] for words in head)]]
    for measure in measures:
        unit = f" [{measure['unit']}]" if measure["unit"] else ""
        rows.append([f"  {measure['name']}{unit}",
                     *(number(measure["values"].get(name)) for name in names)])
    note = f"  ({measures[0]['counted']})\n" if "counted" in measures[0] else ""
    return table(rows if any(rows[0]) else rows[1:]) + "\n" + note


def bad(measures, took):
    """A line for each kind of bad pointer, a column for each call, with few and many blocks."""
    found = {measure["name"]: measure["values"]["expertmem"] for measure in measures}
    lives = list(dict.fromkeys(name.split(" of ")[1] for name in found))
    calls = "free", "realloc", "size"
    kinds = dict.fromkeys(name.split(" of ")[0].split(".")[1] for name in found if "." in name)
    rows = [["", *(live for live in lives for call in calls)],
            [f"bad ({took}) [ns]", *(call for live in lives for call in calls)]]
    rows += [[f"  {kind}", *(number(found[f"{call}.{kind} of {live}"])
                             for live in lives for call in calls)] for kind in kinds]
    good = ", ".join(f"{number(found[f'pair of {live}'])} with {live}" for live in lives)
    return f"{table(rows)}\n  (a good pair: {good})\n"


def goals(lines):
    if not lines:
        return "no goal was measured"
    rows = [["goal", "ours", "theirs", "ratio (10 %..90 %)", "must", "aim", "met"]]
    for goal in lines:
        against = f", against {goal['against']}" if goal["against"] else ""
        rows.append([goal["name"] + against, number(goal["ours"]), number(goal["theirs"]),
                     ratio_text(goal["ratio"]), number(goal["must"]), number(goal["aim"]),
                     goal["met"]])
    return table(rows)


# Okabe and Ito's colours: told apart by everybody, on white and on black
COLOURS = {
    "glibc": "#999999", "jemalloc": "#e69f00", "mimalloc": "#0072b2", "tcmalloc": "#009e73",
    "scudo": "#d55e00", "jemalloc arena": "#e69f00", "mimalloc heap": "#0072b2",
    "talloc": "#cc79a7", "apr": "#56b4e9", "wmem": "#b8a900", "one by one": "#999999",
}
HOLLOW = ("jemalloc arena", "mimalloc heap", "one by one")

STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #222 }
.ours, .head { font-weight: 600 }
.small { font-size: 11px }
line { stroke: #ddd }
.one { stroke: #222; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
text { fill: #ddd }
line { stroke: #444 }
.one { stroke: #ddd }
}"""

LEFT, WIDTH, RIGHT, TOP, ROW = 250, 520, 110, 84, 20
LOWEST, HIGHEST = 0.1, 100


def place(value):
    """Where a ratio is, on a scale where twice and half are equally far from the same."""
    value = min(max(value, LOWEST), HIGHEST)
    return LEFT + WIDTH * math.log(value / LOWEST) / math.log(HIGHEST / LOWEST)


def marks(measure, y):
    """A dot for each peer: by how much it needs more than we do."""
    drawn = []
    for name, ratio in measure["ratios"].items():
        if name not in COLOURS or not ratio["median"]:
            continue
        more = ratio["median"] if measure["more_is_better"] else 1 / ratio["median"]
        fill = "none" if name in HOLLOW else COLOURS[name]
        drawn.append(f'<circle cx="{place(more):.1f}" cy="{y - 4}" r="4.5" fill="{fill}" '
                     f'stroke="{COLOURS[name]}" stroke-width="2">'
                     f'<title>{escape(name)}: {number(measure["values"][name])}, '
                     f'{number(more)} times ours</title></circle>')
    return drawn


def legend(names):
    drawn, x, y = [], 10, 44
    for name in names:
        fill = "none" if name in HOLLOW else COLOURS[name]
        if x > LEFT + WIDTH:
            x, y = 10, y + 18
        drawn.append(f'<circle cx="{x + 5}" cy="{y - 4}" r="4.5" fill="{fill}" '
                     f'stroke="{COLOURS[name]}" stroke-width="2"/>'
                     f'<text x="{x + 14}" y="{y}">{escape(name)}</text>')
        x += 30 + 7 * len(name)
    return drawn


def plot(results):
    """An SVG: a line for each measure, dots where the peers are, ours being 1."""
    measures = [m for m in results["measures"] if m["group"] != "bad" and marks(m, 0)]
    names = [name for name in COLOURS if any(name in m["ratios"] for m in measures)]
    bottom = TOP + 10 + ROW * len(measures)
    drawn = [f'<text class="head" x="10" y="20">What others need, as a multiple of what '
             'libexpertmem needs: further right is worse than ours</text>', *legend(names)]
    for mark in 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100:
        x = place(mark)
        kind = "one" if mark == 1 else "grid"
        drawn.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
                     f'<text class="small" text-anchor="middle" x="{x:.1f}" '
                     f'y="{bottom + 16}">{mark:g}</text>')
    for i, measure in enumerate(measures):
        y = TOP + 18 + ROW * i
        ours = number(measure["values"].get("expertmem"))
        drawn.append(f'<text x="10" y="{y}">{escape(measure["name"])}</text>'
                     f'<text class="ours" x="{LEFT + WIDTH + 20}" y="{y}">{ours} '
                     f'{escape(measure["unit"])}</text>')
        drawn += marks(measure, y)
    machine = results["machine"]
    drawn.append(f'<text class="small" x="10" y="{bottom + 36}">{escape(machine["cpu"])}, '
                 f'{machine["cpus"]} CPUs, Linux {escape(machine["kernel"])}; at the right: '
                 'ours</text>')
    width, height = LEFT + WIDTH + RIGHT + 20, bottom + 46
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}">\n<style>\n{STYLE}\n</style>\n' +
            "\n".join(drawn) + "\n</svg>\n")
