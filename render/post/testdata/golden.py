"""Makes the reference pictures in golden/ with Pillow 13, a second implementation of
the steps, and golden/cases.json with the declaration and the tolerance of each. Run by
hand when a case is added: python3 golden.py"""
import colorsys, json, math, os
from PIL import Image, ImageFilter, ImageOps

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")
W, H = 60, 40
src = Image.new("RGB", (W, H))
for y in range(H):
    for x in range(W):
        v = 60 * math.sin(x / 5) * math.cos(y / 4)
        src.putpixel((x, y), (int(90 + x * 2 + v) & 255, int(120 + v), int(220 - y * 4 - v / 2)))
for y in range(10, 22):
    for x in range(30, 44):
        src.putpixel((x, y), (250, 240, 30) if (x + y) % 7 else (10, 10, 90))
src.save(os.path.join(here, "source.png"))
clear = src.convert("RGBA")
clear.putalpha(Image.linear_gradient("L").resize((W, H)))
clear.save(os.path.join(here, "clear.png"))

cases = []
def case(name, steps, image, worst=1, mean=0.5, inner=0, source="source"):
    """worst: largest difference of a sample, mean: average, of 255; inner: pixels left out at the sides"""
    image.save(os.path.join(here, name + ".png"))
    cases.append({"name": name, "source": source, "steps": steps, "worst": worst, "mean": mean, "inner": inner})

R = Image.Resampling
for name, kernel in [("lanczos", R.LANCZOS), ("catmullrom", R.BICUBIC), ("linear", R.BILINEAR), ("box", R.BOX)]:
    # Pillow's bicubic is a = -0.5, which is Catmull-Rom.
    case("down-" + name, [{"resize": {"width": 25, "height": 17, "mode": "exact", "filter": name}}], src.resize((25, 17), kernel), 2)
    if name != "box":
        case("up-" + name, [{"resize": {"percent": 150, "filter": name}}], src.resize((90, 60), kernel), 2)
case("nearest", [{"resize": {"percent": 200, "filter": "nearest"}}], src.resize((120, 80), R.NEAREST), 0, 0)
case("fit", [{"resize": {"width": 30, "height": 30}}], src.resize((30, 20), R.LANCZOS), 2)
case("fill", [{"resize": {"width": 20, "height": 20, "mode": "fill", "filter": "box"}}], ImageOps.fit(src, (20, 20), R.BOX), 1)
case("crop", [{"crop": {"x": 7, "y": 5, "width": 20, "height": 11}}], src.crop((7, 5, 27, 16)), 0, 0)
case("crop-corner", [{"crop": {"anchor": "bottom-right", "width": 20, "height": 11}}], src.crop((40, 29, 60, 40)), 0, 0)
case("crop-aspect", [{"crop": {"aspect": "1:1"}}], src.crop((10, 0, 50, 40)), 0, 0)
case("crop-aspect-top", [{"crop": {"aspect": "3:1", "anchor": "top"}}], src.crop((0, 0, 60, 20)), 0, 0)
pad = Image.new("RGB", (80, 50), (16, 32, 48)); pad.paste(src, (10, 5))
case("pad", [{"pad": {"width": 80, "height": 50, "color": "#102030"}}], pad, 0, 0)
case("pad-aspect", [{"pad": {"aspect": "1:1", "color": "white", "anchor": "top"}}], ImageOps.pad(src, (60, 60), color="white", centering=(0.5, 0)), 0, 0)
case("rotate-90", [{"rotate": 90}], src.transpose(Image.Transpose.ROTATE_270), 0, 0)
case("rotate-270", [{"rotate": -90}], src.transpose(Image.Transpose.ROTATE_90), 0, 0)
case("rotate-180", [{"rotate": 180}], src.transpose(Image.Transpose.ROTATE_180), 0, 0)
cos, sin = math.cos(math.radians(30)), math.sin(math.radians(30))  # the middle of 72x65 comes from the middle of 60x40
free = src.transform((72, 65), Image.Transform.AFFINE, (cos, sin, 30 - cos * 36 - sin * 32.5, -sin, cos, 20 + sin * 36 - cos * 32.5), R.BILINEAR, fillcolor=(0, 0, 255))
case("rotate-30", [{"rotate": {"degrees": 30, "background": "blue"}}], free, 255, 4)  # at the seam to the background one of them mixes colours
case("rotate-30-inner", [{"rotate": {"degrees": 30, "background": "blue"}}], free, 3, 0.5, 25)
case("flip-h", [{"flip": "horizontal"}], ImageOps.mirror(src), 0, 0)
case("flip-v", [{"flip": "vertical"}], ImageOps.flip(src), 0, 0)
case("flip-both", [{"flip": "both"}], src.transpose(Image.Transpose.ROTATE_180), 0, 0)
case("grayscale", ["grayscale"], src.convert("L").convert("RGB"))
point = lambda f: src.point([max(0, min(255, int(f(i) + 0.5))) for i in range(256)] * 3)
case("brightness", [{"adjust": {"brightness": 20}}], point(lambda i: i + 51))
case("contrast", [{"adjust": {"contrast": -40}}], point(lambda i: 127.5 + (i - 127.5) * 0.6))
case("gamma", [{"adjust": {"gamma": 2.2}}], point(lambda i: 255 * (i / 255) ** (1 / 2.2)))
def saturate(k):
    out = src.copy()
    for y in range(H):
        for x in range(W):
            h, l, s = colorsys.rgb_to_hls(*[c / 255 for c in src.getpixel((x, y))])
            out.putpixel((x, y), tuple(int(255 * c + 0.5) for c in colorsys.hls_to_rgb(h, l, min(1, s * k))))
    return out
case("saturation", [{"adjust": {"saturation": -50}}], saturate(0.5), 2)
def gaussian(image, sigma):
    """the true Gaussian, as Pillow's own is made of boxes; the sides are repeated"""
    r = math.ceil(sigma * 3)
    weights = [math.exp(-i * i / (2 * sigma * sigma)) for i in range(-r, r + 1)]
    total = sum(weights)
    px = image.load(); out = Image.new("RGB", image.size)
    rows = [[None] * W for _ in range(H)]
    for y in range(H):
        for x in range(W):
            rows[y][x] = [sum(w * px[max(0, min(W - 1, x + i - r)), y][c] for i, w in enumerate(weights)) / total for c in range(3)]
    for y in range(H):
        for x in range(W):
            out.putpixel((x, y), tuple(int(sum(w * rows[max(0, min(H - 1, y + i - r))][x][c] for i, w in enumerate(weights)) / total + 0.5) for c in range(3)))
    return out
case("blur", [{"adjust": {"blur": 1.5}}], gaussian(src, 1.5), 3, 0.7, 6)
case("blur-pillow", [{"adjust": {"blur": 2}}], src.filter(ImageFilter.GaussianBlur(2)), 14, 2, 6)
soft = gaussian(src, 1)
twice = [bytes(max(0, min(255, 2 * a - b)) for a, b in zip(s.tobytes(), g.tobytes())) for s, g in zip(src.split(), soft.split())]
case("sharpen", [{"adjust": {"sharpen": 1}}], Image.merge("RGB", [Image.frombytes("L", (W, H), t) for t in twice]), 4, 0.8, 4)
mark = Image.new("RGBA", (12, 8), (255, 0, 0, 255)); mark.paste((0, 255, 0, 128), (3, 2, 9, 6)); mark.save(os.path.join(here, "mark.png"))
def marked(opacity, places):
    out = src.convert("RGBA")
    over = mark.copy(); over.putalpha(mark.getchannel("A").point(lambda a: int(a * opacity + 0.5)))
    for at in places:
        layer = Image.new("RGBA", out.size); layer.paste(over, at)
        out = Image.alpha_composite(out, layer)
    return out.convert("RGB")
case("watermark", [{"watermark": {"image": "mark.png", "opacity": 0.4, "margin": 3}}], marked(0.4, [(45, 29)]), 2)
case("watermark-tile", [{"watermark": {"image": "mark.png", "opacity": 1, "margin": 5, "tile": True}}],
     marked(1, [(x, y) for y in range(5, 40, 13) for x in range(5, 60, 17)]), 2)
pair = Image.new("RGB", (124, 40), (0, 0, 255)); pair.paste(src, (0, 0)); pair.paste(ImageOps.mirror(src), (64, 0))
case("pair", [{"flip": "horizontal"}, {"pair": {"gap": 4, "background": "blue"}}], pair, 0, 0)
pair = Image.new("RGB", (30, 45), (0, 0, 0)); pair.paste(src.resize((30, 20), R.LANCZOS), (0, 0)); pair.paste(src.resize((30, 20), R.LANCZOS), (0, 25))
case("pair-column", [{"resize": {"width": 30}}, {"pair": {"layout": "column", "gap": 5}}], pair, 2)
case("clear-crop", [{"crop": {"aspect": "1:1"}}], clear.crop((10, 0, 50, 40)), 0, 0, source="clear")
case("clear-lanczos", [{"resize": {"width": 30}}], clear.resize((30, 20), R.LANCZOS), 4, 1, source="clear")
with open(os.path.join(here, "cases.json"), "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
