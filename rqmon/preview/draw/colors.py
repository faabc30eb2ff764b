"""Grafana's named colours, classic palette and gradients as CSS colours."""

import re
from collections.abc import Sequence

TEXT = "#ccccdc"
GREY = "#8e8e99"
_SHADES = ("super-light-", "light-", "", "semi-dark-", "dark-")
_HUES = {
    "red": ("#FFA6B0", "#FF7383", "#F2495C", "#E02F44", "#C4162A"),
    "orange": ("#FFCB7D", "#FFB357", "#FF9830", "#FF780A", "#FA6400"),
    "yellow": ("#FFF899", "#FFEE52", "#FADE2A", "#F2CC0C", "#E0B400"),
    "green": ("#C8F2C2", "#96D98D", "#73BF69", "#56A64B", "#37872D"),
    "blue": ("#C0D8FF", "#8AB8FF", "#5794F2", "#3274D9", "#1F60C4"),
    "purple": ("#DEB6F2", "#CA95E5", "#B877D9", "#A352CC", "#8F3BB8"),
}
_NAMED = {shade + hue: css for hue, row in _HUES.items() for shade, css in zip(_SHADES, row, strict=True)} | {
    "text": TEXT,
    "white": "#FFFFFF",
    "black": "#000000",
    "gray": GREY,
    "grey": GREY,
    "transparent": "transparent",
}
_PALETTE = (
    *("green", "semi-dark-yellow", "light-blue", "semi-dark-orange", "red", "blue", "purple", "#705DA0"),
    *("dark-green", "yellow", "#447EBC", "#C15C17", "#890F02", "#0A437C", "#6D1F62", "#584477"),
)
_GRADIENTS = {
    "continuous-GrYlRd": ("green", "yellow", "red"),
    "continuous-RdYlGr": ("red", "yellow", "green"),
    "continuous-BlYlRd": ("dark-blue", "yellow", "dark-red"),
    "continuous-YlRd": ("super-light-yellow", "dark-red"),
    "continuous-BlPu": ("blue", "purple"),
    "continuous-YlBl": ("super-light-yellow", "dark-blue"),
    "continuous-blues": ("#181b1f", "dark-blue"),
    "continuous-reds": ("#181b1f", "dark-red"),
    "continuous-greens": ("#181b1f", "dark-green"),
    "continuous-purples": ("#181b1f", "dark-purple"),
}
_SCHEMES = {
    "blues": ("#12283a", "#2a6fb0", "#8fc1ea", "#e5f1fb"),
    "greens": ("#12301c", "#2f8f4e", "#98d594", "#e9f7e5"),
    "purples": ("#251b3a", "#6a51a3", "#b3a6d6", "#f1eef8"),
    "reds": ("#3a1212", "#c4162a", "#fb7757", "#ffe5d8"),
    "oranges": ("#3a1e0c", "#c4510c", "#fd9a48", "#feead2"),
    "spectral": ("#3f68b0", "#66c2a5", "#e6f598", "#fee08b", "#f46d43", "#b11f4b"),
}


def css_color(name: str) -> str:
    """Return the CSS colour for a Grafana colour name or a CSS hex/rgb value; grey for anything else."""
    if name in _NAMED:
        return _NAMED[name]
    return name if re.fullmatch(r"#[0-9a-fA-F]{3,8}|rgba?\([\d., %]{5,40}\)", name) else GREY


def palette_color(index: int) -> str:
    """Return the colour of the series at `index` in Grafana's classic palette."""
    return css_color(_PALETTE[index % len(_PALETTE)])


def gradient_color(mode: str, share: float) -> str:
    """Return a `continuous-*` colour at `share` (0 to 1) of the range."""
    return mix([css_color(name) for name in _GRADIENTS.get(mode, _GRADIENTS["continuous-GrYlRd"])], share)


def scheme_color(scheme: str, share: float) -> str:
    """Return a heatmap's colour at `share` (0 to 1), from dark (few) to light (many)."""
    return mix(_SCHEMES.get(scheme.lower(), _SCHEMES["oranges"]), share)


def mix(stops: Sequence[str], share: float) -> str:
    """Return the colour at `share` (0 to 1) along evenly spaced hex `stops`."""
    position = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    low = min(int(position), len(stops) - 2)
    pair = [[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in (stops[low], stops[low + 1])]
    weight = position - low
    return "#" + "".join(f"{round(a + (b - a) * weight):02x}" for a, b in zip(*pair, strict=True))


def with_alpha(color: str, alpha: float) -> str:
    """Return a hex colour with an opacity of `alpha` (0 to 1); other notations are returned unchanged."""
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        return color
    return f"{color}{round(min(max(alpha, 0.0), 1.0) * 255):02x}"
