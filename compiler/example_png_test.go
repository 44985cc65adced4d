package compiler_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/png"
	"log"
	"testing/fstest"

	"github.com/comfyc/comfyc/compiler"
	"github.com/comfyc/comfyc/compiler/source"
)

// saved makes a picture as ComfyUI saves it, with what was run in a text chunk named prompt.
func saved(prompt string) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 8, 8))); err != nil {
		log.Fatal(err)
	}
	body := "tEXt" + "prompt\x00" + prompt
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)-4))
	chunk = binary.BigEndian.AppendUint32(append(chunk, body...), crc32.ChecksumIEEE([]byte(body)))
	const head = 8 + 25 // the signature and IHDR
	return bytes.Join([][]byte{b.Bytes()[:head], chunk, b.Bytes()[head:]}, nil)
}

// A picture that ComfyUI saved is a workflow: what it was made from is checked, converted and swept like any other.
func Example_picture() {
	picture := saved(workflow)
	prompt, _, err := source.Embedded(source.NewFile("fox.png", picture))
	fmt.Println(prompt.Name, string(prompt.Data) == workflow, err)

	report := compiler.Check(context.Background(), source.NewFile("fox.png", picture), compiler.CheckOptions{})
	fmt.Println(report.Valid, report.GoodOutputs)

	plan, findings := compiler.NewBatch("fox.png").Axis("scale_by", compiler.Values(1.0, 2.0)).
		Compile(context.Background(), compiler.Source{Dir: ".", FS: fstest.MapFS{"fox.png": {Data: picture}}})
	if plan == nil {
		log.Fatal(findings)
	}
	fmt.Println(plan.Len(), "renders")
	// Output:
	// fox.png#prompt true <nil>
	// true [9]
	// 2 renders
}
