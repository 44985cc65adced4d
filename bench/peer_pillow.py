"""Does with Pillow what the collector does with a picture, in two processes: decode base64, hash, check to the end, save and sync, write a
thumbnail, and at the end the record of all. Prints seconds. Usage: peer_pillow.py PICTURE COUNT DIR"""
import base64, hashlib, io, json, multiprocessing, os, sys, time
from PIL import Image

text = base64.b64encode(open(sys.argv[1], "rb").read())
out = sys.argv[3]

def sync(path, data):
    with open(path + ".tmp", "wb") as f:
        f.write(data); f.flush(); os.fsync(f.fileno())
    os.rename(path + ".tmp", path)

def one(i):
    data = base64.b64decode(text)
    image = Image.open(io.BytesIO(data)); image.load()
    sync(os.path.join(out, f"{i}.png"), data)
    small = image.convert("RGB").resize((320, 320), Image.Resampling.BILINEAR)
    b = io.BytesIO(); small.save(b, "JPEG", quality=85)
    sync(os.path.join(out, f"{i}.jpg"), b.getvalue())
    return {"path": f"{i}.png", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "width": image.width, "height": image.height}

if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        pool.map(abs, range(2))
        start = time.perf_counter()
        files = pool.map(one, range(int(sys.argv[2])), chunksize=1)
        sync(os.path.join(out, "manifest.json"), json.dumps(files).encode())
        print(time.perf_counter() - start)
