"""How the report looks in a browser."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1400px; margin: 2em auto; padding: 0 1em;
       color: #222; background: #fff; }
h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; }
table { border-collapse: collapse; margin: 0.6em 0; font-size: 0.9em; }
th, td { border: 1px solid #ccc; padding: 0.2em 0.6em; text-align: left; vertical-align: top; }
th { background: #f0f0f2; }
img { max-width: 100%; display: block; margin: 0.8em 0; }
.name { white-space: nowrap; }
div[id] { border-top: 1px solid #ddd; scroll-margin-top: 1em; }
"""
