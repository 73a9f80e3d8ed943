"""The style sheet of a report."""

from __future__ import annotations

from collections.abc import Mapping

from chainrule.draw.palette import DARK, LIGHT


def style_sheet() -> str:
    """CSS for both themes; the reader's system decides unless the page's own choice does. Paper is light."""
    light, dark = _variables(LIGHT, "light"), _variables(DARK, "dark")
    figures = "".join(f".f-{r}{{fill:var(--{r})}}.s-{r}{{stroke:var(--{r})}}" for r in LIGHT)
    chosen = ":root:has(#theme-light:checked),:root:has(#theme-dark:checked)"
    return (
        f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        f":root:has(#theme-light:checked){{{light}}}\n:root:has(#theme-dark:checked){{{dark}}}\n"
        f"{_RULES}{figures}\n@media print{{:root,{chosen}{{{light}}}{_PRINT}}}\n"
    )


def _variables(colours: Mapping[str, str], scheme: str) -> str:
    return f"color-scheme:{scheme};" + "".join(f"--{role}:{colour};" for role, colour in colours.items())


_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:60rem;background:var(--back);color:var(--ink);
  font:1rem/1.6 system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;overflow-wrap:break-word}
h1{font-size:clamp(1.6rem,5vw,2.2rem);line-height:1.2;margin:0 0 .5rem;text-wrap:balance}
h2{font-size:1.3rem;line-height:1.3;margin:3rem 0 .75rem;padding-top:.75rem;border-top:1px solid var(--grid)}
p{margin:.75rem 0;max-width:42rem}
.lead{font-size:1.1rem;color:var(--muted)}
a{color:var(--blue)}
:focus-visible{outline:3px solid var(--orange);outline-offset:2px}
.skip{position:absolute;left:-100rem}
.skip:focus{left:1rem;top:.5rem;background:var(--back);padding:.5rem 1rem}
.theme{display:flex;flex-wrap:wrap;gap:.25rem 1rem;border:0;margin:1rem 0 0;padding:0;font-size:.9rem;
  color:var(--muted)}
.theme legend{float:left;margin-right:1rem;padding:0}
.theme label{display:inline-flex;align-items:center;gap:.35rem;min-height:1.75rem}
@supports not selector(:has(*)){.theme{display:none}}
nav ol{margin:1.25rem 0 0;padding:.75rem 1rem .75rem 2.5rem;background:var(--panel);border-radius:.5rem;
  columns:20rem 2}
nav li{break-inside:avoid;padding:.1rem 0}
figure{margin:1.25rem 0}
figure svg{display:block;max-width:100%;height:auto;border-radius:.5rem}
.wide svg{max-width:none}
figcaption{margin-top:.5rem;color:var(--muted);font-size:.92rem;max-width:42rem}
.code figcaption{margin:0 0 .4rem}
pre{margin:0;padding:.75rem 1rem;background:var(--panel);border-radius:.5rem;overflow-x:auto;line-height:1.35;
  font-size:.85rem;font-family:ui-monospace,'Cascadia Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace}
.scroll{overflow-x:auto;margin:1.25rem 0}
figure .scroll{margin:0}
table{border-collapse:collapse;font-size:.95rem}
caption{text-align:left;color:var(--muted);font-size:.92rem;padding-bottom:.5rem;caption-side:top}
caption span{display:block;max-width:min(42rem,calc(100vw - 2rem))}
th,td{text-align:left;vertical-align:top;padding:.4rem 1.25rem .4rem 0;border-bottom:1px solid var(--grid);
  overflow-wrap:normal}
thead th{border-bottom:2px solid var(--muted);vertical-align:bottom}
tbody th{font-weight:600}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
details{margin:-.5rem 0 1.25rem}
summary{cursor:pointer;color:var(--muted);font-size:.92rem;min-height:1.75rem}
@media (max-width:40rem){.wrap pre{white-space:pre-wrap}table{font-size:.82rem}th,td{padding-right:.5rem}
  figure>svg{max-width:none;width:calc(100% + 2rem);margin:0 -1rem}}
"""
_PRINT = """
body{max-width:none;padding:0;font-size:10.5pt}
.theme,.skip,nav,details{display:none}
h2{break-after:avoid;margin-top:1.5rem}
figure,table,tr{break-inside:avoid}
pre{white-space:pre-wrap}
.wide svg{max-width:100%}
"""
