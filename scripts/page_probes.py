"""What scripts/check_pages asks of a page, in JavaScript, and the texts that its pages show."""

import random

from charlm.views.scored_line import ScoredLine

TEXTS = {
    "english": ["How oft when men are at the point of death,\n", "\n", "Have they been merry!\n"],
    "chinese": ["床前明月光，疑是地上霜。\n", "舉頭望明月，低頭思故鄉。\n"],
    "persian": [
        "الا یا ایها الساقی ادر کاسا و ناولها\n",
        "که عشق آسان نمود اول ولی افتاد مشکل\u200cها\n",
    ],
    "code": ["int main(void) {\n", "\tif (a < b && c > d)\n", '\t\tputs("%d  \\n");  \n', "}\n"],
    "hostile": [
        "</script><script>alert(1)</script><img src=http://127.0.0.1/x onerror=alert(2)>\n",
        "&amp; &lt; &#0; \" ' ` <!-- --> ]]> {{title}} $title {lines}\n",
        "".join(chr(code) for code in range(32) if code != 10) + "\x7f\x85\u2028\u2029\ufeff\n",
        "access \u202erof\u202c granted \u2066x\u2069 \u200f!\ud800\udc00\n",
        "e\u0301 👨\u200d👩\u200d👧\u200d👦 नमस्ते مشکل\u200cها\n",
        "  ends in spaces and a tab  \t",
    ],
}
# Of the texts above: what is to be seen as its number.
_UNSEEN = {
    *range(9), *range(11, 32), 0x7F, 0x85, 0x200F, 0x2028, 0x2029, 0x202C, 0x202E, 0x2066, 0x2069,
    0xD800, 0xDC00, 0xFEFF,
}  # fmt: skip

SHOWN = '[...text.querySelectorAll(".line")].map((line) => line.textContent)'
STATUS = 'document.getElementById("status").textContent'
# Where the cursor stands on the page, in pixels from its top.
TOP = "rectsOf(selected)[0].top + scrollY"
# Whether the selected place and the rows at the window's top are tinted.
TINTED = """[selected, placeAt(300, 20), placeAt(600, 100)].filter((at) => at >= 0).map((place) => {
  const { startContainer, startOffset } = rangeOf(place, place);
  return lines[lineOf[place]].tinted.some(([, range]) => range.startContainer === startContainer &&
    range.startOffset <= startOffset && startOffset < range.endOffset);
})"""
NODES = """[...text.querySelectorAll(".line")].map((line) =>
  [...line.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).length)"""
# Without the features that a page has other ways to do without.
WITHOUT_HIGHLIGHTS = "delete window.Highlight;"
# How many tints there are at the first frame that has a line to show.
FIRST_FRAME = """const look = () => {
  if (document.querySelector(".line")) {
    const wrapped = document.querySelectorAll("#text [class^=t]");
    window.tintsAtFirst = CSS.highlights?.size || wrapped.length;
  } else {
    requestAnimationFrame(look);
  }
};
requestAnimationFrame(look);"""
# The widths of each line as it is tinted and as it would be without a tint: letters that a tint
# kept from joining would be wider.
WIDTHS = """lines.map((line) => {
  const wide = () => {
    const range = document.createRange();
    range.selectNodeContents(line.element);
    return range.getBoundingClientRect().width;
  };
  tintLine(line);
  const tinted = wide();
  untintLine(line);
  const plain = wide();
  tintLine(line);
  return [tinted, plain];
})"""
# Contrast (WCAG 2.2) of what stands on each tint, and of the page's own words with the page.
CONTRASTS = """(() => {
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const paper = getComputedStyle(document.body).backgroundColor;
  const words = [...document.querySelectorAll("body, a, dt, dd, p, figcaption, option, .around")];
  const tints = [...document.styleSheets[0].cssRules].filter((rule) =>
    rule.selectorText?.startsWith("::highlight"));
  return {
    paper: luminance(paper),
    tints: tints.map((rule) => contrast(rule.style.color, rule.style.backgroundColor)),
    words: words.map((element) => contrast(getComputedStyle(element).color, paper)),
  };
})()"""


def middle_of(place: int) -> str:
    return f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])(rectsOf({place})[0])"


def timed(act: str) -> str:
    """Seconds from an act until the page is drawn anew."""
    return f"""(async () => {{ const begun = performance.now(); {act};
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      return (performance.now() - begun) / 1000; }})()"""


def as_seen(line: str) -> str:
    """One of the lines above as a reader should see it."""
    shown = "".join(f"U+{ord(c):04X}" if ord(c) in _UNSEEN else c for c in line)
    return shown.replace("\n", "↵").replace("\t", "⇥\t")


def scored(lines: list[str]) -> list[ScoredLine]:
    """Lines with figures by chance, the first character without a surprise."""
    draw = random.Random(1)
    letters = sorted(set("".join(lines)))
    found = []
    for number, line in enumerate(lines):
        bits: list[float | None] = [draw.expovariate(1 / 3) for _ in line]
        if number == 0:
            bits[0] = None
        rank = tuple(draw.randrange(4) for _ in line)
        expected = [tuple((draw.choice(letters), share) for share in (0.5, 0.2, 0.1)) for _ in line]
        found.append(ScoredLine(tuple(line), tuple(bits), rank, tuple(expected)))
    return found
