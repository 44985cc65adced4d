package source

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"testing"
)

const (
	aPrompt   = `{"1": {"class_type": "SaveImage", "inputs": {}}}`
	aWorkflow = `{"nodes": [{"id": 1, "type": "SaveImage", "title": "Füchse 🦊"}], "version": 0.4}`
)

func pngChunk(kind string, data ...string) string {
	body := kind + strings.Join(data, "\x00")
	out := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	out = append(out, body...)
	return string(binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE([]byte(body))))
}

func packed(text string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	return b.String()
}

func aPNG(chunks ...string) string {
	return string(pngSignature) + pngChunk("IHDR", "0123456789abc") + strings.Join(chunks, "") + pngChunk("IEND")
}

// aWebP is a picture with an EXIF of two text tags, as Pillow writes it.
func aWebP(order binary.ByteOrder, mark, prefix string) string {
	texts := []string{"prompt:" + aPrompt + "\x00", "workflow:" + aWorkflow + "\x00"}
	tiff := append([]byte(mark), 0, 0)
	order.PutUint16(tiff[2:], 42)
	tiff = append(tiff, make([]byte, 4)...)
	order.PutUint32(tiff[4:], 8)
	entries := make([]byte, 2+12*len(texts)+4)
	order.PutUint16(entries, uint16(len(texts)))
	at := len(tiff) + len(entries)
	for i, s := range texts {
		e := entries[2+12*i:]
		order.PutUint16(e, 0x0110-uint16(i))
		order.PutUint16(e[2:], 2)
		order.PutUint32(e[4:], uint32(len(s)))
		order.PutUint32(e[8:], uint32(at))
		at += len(s)
	}
	exif := prefix + string(tiff) + string(entries) + strings.Join(texts, "")
	chunk := func(kind, data string) string {
		if len(data)%2 == 1 {
			return kind + string(binary.LittleEndian.AppendUint32(nil, uint32(len(data)))) + data + "\x00"
		}
		return kind + string(binary.LittleEndian.AppendUint32(nil, uint32(len(data)))) + data
	}
	return "RIFF\x00\x00\x00\x00WEBP" + chunk("VP8L", "odd") + chunk("EXIF", exif)
}

func mp4Box(kind string, content ...string) string {
	data := strings.Join(content, "")
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(data)))) + kind + data
}

// aMP4 is a video with metadata keys, as ffmpeg writes them with use_metadata_tags.
func aMP4() string {
	key := func(s string) string { return mp4Box("mdta", s) }
	item := func(i byte, s string) string {
		return mp4Box("\x00\x00\x00"+string(rune(i)), mp4Box("data", "\x00\x00\x00\x01\x00\x00\x00\x00", s))
	}
	meta := mp4Box("meta", "\x00\x00\x00\x00", mp4Box("hdlr", "0123456789"), mp4Box("keys", "\x00\x00\x00\x00\x00\x00\x00\x02", key("prompt"), key("workflow")),
		mp4Box("ilst", item(1, aPrompt), item(2, aWorkflow)))
	return mp4Box("ftyp", "isom\x00\x00\x02\x00") + mp4Box("mdat", "pictures") + mp4Box("moov", mp4Box("mvhd", "x"), mp4Box("udta", meta))
}

func ebml(id string, content ...string) string {
	data := strings.Join(content, "")
	return id + string(binary.BigEndian.AppendUint32(nil, 0x10000000|uint32(len(data)))) + data
}

func aWebM() string {
	tag := func(name, text string) string {
		return ebml("\x67\xc8", ebml("\x45\xa3", name), ebml("\x44\x87", text))
	}
	return ebml("\x1a\x45\xdf\xa3", "webm") + "\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" + ebml("\x1f\x43\xb6\x75", "cluster") +
		ebml("\x12\x54\xc3\x67", ebml("\x73\x73", ebml("\x63\xc0", ""), tag("PROMPT", aPrompt)), ebml("\x73\x73", tag("WORKFLOW", aWorkflow)))
}

func embeddedFiles() map[string]string {
	return map[string]string{
		"tEXt.png": aPNG(pngChunk("tEXt", "Software", "x"), pngChunk("tEXt", "prompt", aPrompt), pngChunk("iTXt", "workflow", "\x00\x00", "", aWorkflow), pngChunk("tEXt", "prompt", "later")),
		"zTXt.png": aPNG(pngChunk("zTXt", "prompt", "\x00"+packed(aPrompt)), pngChunk("iTXt", "workflow", "\x01\x00", "", packed(aWorkflow))),
		"comf.png": aPNG(pngChunk("IDAT", "pixels"), pngChunk("comf", "prompt", aPrompt), pngChunk("comf", "workflow", aWorkflow)),
		"le.webp":  aWebP(binary.LittleEndian, "II", ""),
		"be.webp":  aWebP(binary.BigEndian, "MM", "Exif\x00\x00"),
		"a.mp4":    aMP4(),
		"a.webm":   aWebM(),
	}
}

func TestEmbedded(t *testing.T) {
	for name, data := range embeddedFiles() {
		prompt, workflow, err := Embedded(NewFile(name, []byte(data)))
		if err != nil || prompt == nil || workflow == nil {
			t.Errorf("%s: %v %v %v", name, prompt, workflow, err)
			continue
		}
		if string(prompt.Data) != aPrompt || string(workflow.Data) != aWorkflow || workflow.Name != name+"#workflow" || prompt.Name != name+"#prompt" {
			t.Errorf("%s: %s %q %s %q", name, prompt.Name, prompt.Data, workflow.Name, workflow.Data)
		}
	}
}

func TestEmbeddedTrouble(t *testing.T) {
	bomb := aPNG(pngChunk("zTXt", "workflow", "\x00"+packed(strings.Repeat("x", maxEmbedded))))
	damaged := []byte(aPNG(pngChunk("tEXt", "workflow", aWorkflow)))
	damaged[60] ^= 1
	for _, c := range []struct{ name, data, want string }{
		{"text", "{}", "no PNG, WebP, MP4 or WebM"},
		{"bomb", bomb, "grows beyond 17 MiB"},
		{"checksum", string(damaged), "checksum is wrong"},
		{"cut", aPNG(pngChunk("tEXt", "workflow", aWorkflow))[:60], "longer than the file"},
		{"no end", string(pngSignature) + pngChunk("IHDR", "x"), "ends too early"},
		{"not packed", aPNG(pngChunk("zTXt", "workflow", "\x00abc")), "cannot be unpacked"},
		{"no moov", mp4Box("ftyp", "isom\x00\x00\x02\x00"), "no index"},
		{"exif", "RIFF\x00\x00\x00\x00WEBPEXIF\x08\x00\x00\x00II*\x00\xff\xff\xff\x00", "leads outside"},
	} {
		prompt, workflow, err := Embedded(NewFile(c.name, []byte(c.data)))
		if err == nil || !strings.Contains(err.Error(), c.want) || prompt != nil || workflow != nil {
			t.Errorf("%s: %v %v %v, want an error with %q", c.name, prompt, workflow, err, c.want)
		}
	}
	if prompt, workflow, err := Embedded(NewFile("plain.png", []byte(aPNG()))); prompt != nil || workflow != nil || err != nil {
		t.Errorf("a picture without texts: %v %v %v", prompt, workflow, err)
	}
}

func TestEmbeddedLatin1(t *testing.T) {
	_, workflow, err := Embedded(NewFile("a.png", []byte(aPNG(pngChunk("tEXt", "workflow", "caf\xe9")))))
	if err != nil || string(workflow.Data) != "café" {
		t.Error(workflow, err)
	}
}

func FuzzEmbedded(f *testing.F) {
	for _, data := range embeddedFiles() {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		prompt, workflow, _ := Embedded(NewFile("x", data))
		for _, p := range []*File{prompt, workflow} {
			if p != nil && (len(p.Data) == 0 || len(p.Data) > maxEmbedded) {
				t.Fatal("a text out of bounds")
			}
		}
	})
}
