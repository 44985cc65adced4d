"""Makes the odd pictures in odd/ with Pillow 13: forms that ComfyUI's nodes or other workers may send and that are easy to get wrong.
Run by hand when a case is added: python3 odd.py"""
import os, struct, zlib
from PIL import Image, ImageCms

here = os.path.join(os.path.dirname(os.path.abspath(__file__)), "odd")
src = Image.new("RGB", (16, 12))
for y in range(12):
    for x in range(16):
        src.putpixel((x, y), (x * 16, y * 20, 128))
save = lambda image, name, **kw: image.save(os.path.join(here, name), **kw)
frames = [src.rotate(a) for a in (90, 180)]
save(src.convert("CMYK"), "cmyk.jpg")
save(src, "progressive.jpg", progressive=True)
exif = Image.Exif(); exif[0x0112] = 6
save(src, "turned.jpg", exif=exif)
save(src.convert("L"), "grey.jpg")
icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
save(src, "profile.png", icc_profile=icc)
save(src.convert("P", palette=Image.Palette.ADAPTIVE), "animated.gif", save_all=True, append_images=[f.convert("P") for f in frames])
save(src, "animated.webp", save_all=True, append_images=frames, lossless=True)
save(src, "animated.png", save_all=True, append_images=frames)
save(src, "lossy.webp", quality=60)
save(src.convert("RGBA"), "clear.webp", lossless=True)
save(src.convert("I;16"), "grey16.png")
save(src.convert("1"), "one-bit.png")
save(src.convert("LA"), "grey-alpha.png")

def png(name, head, *chunks):
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", head), *chunks, (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    open(os.path.join(here, name), "wb").write(out)
row = lambda n, fill: b"\0" + fill * n
png("rgb16.png", struct.pack(">IIBBBBB", 4, 2, 16, 2, 0, 0, 0), (b"IDAT", zlib.compress(row(24, b"\x12") * 2)))
png("bad-index.png", struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0), (b"PLTE", b"\1\2\3" * 2), (b"IDAT", zlib.compress(row(4, b"\xc8") * 2)))
png("no-palette.png", struct.pack(">IIBBBBB", 4, 2, 8, 3, 0, 0, 0), (b"IDAT", zlib.compress(row(4, b"\1") * 2)))
png("bomb.png", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0), (b"IDAT", zlib.compress(bytes(1 << 20))))
png("zero.png", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0), (b"IDAT", zlib.compress(b"")))
png("short-pixels.png", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0), (b"IDAT", zlib.compress(bytes(100))))
png("text-bomb.png", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0), (b"zTXt", b"prompt\0\0" + zlib.compress(bytes(64 << 20), 9)), (b"IDAT", zlib.compress(row(3, b"\7"))))
open(os.path.join(here, "frame-outside.gif"), "wb").write(b"GIF89a\x02\0\x02\0\x80\0\0\0\0\0\xff\xff\xff,\x01\0\x01\0\xff\xff\xff\xff\0\x02\x02L\x01\0;")
