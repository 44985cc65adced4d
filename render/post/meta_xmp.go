package post

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// XMP is RDF written as XML. It is only used where EXIF is full or belongs to another program. Our packet, in
// full:
//
//	<x:xmpmeta …><rdf:RDF …><rdf:Description …><comfyc:texts><rdf:Seq>
//	  <rdf:li>workflow:{"nodes": …}</rdf:li>
//	</rdf:Seq></comfyc:texts></rdf:Description></rdf:RDF></x:xmpmeta>

// xmpMark begins the JPEG segment of an XMP packet.
const xmpMark = "http://ns.adobe.com/xap/1.0/\x00"

// xmpSpace is the XML namespace of our texts: a sequence of "key:text".
const xmpSpace = "urn:comfyc:texts"

// appendXMP writes texts as an XMP packet.
func appendXMP(out []byte, texts []Text) []byte {
	var b bytes.Buffer
	b.WriteString("<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">" +
		"<rdf:Description rdf:about=\"\" xmlns:comfyc=\"" + xmpSpace + "\"><comfyc:texts><rdf:Seq>")
	for _, t := range texts {
		b.WriteString("<rdf:li>")
		_ = xml.EscapeText(&b, []byte(t.Key+":"+t.Value)) // a Buffer takes everything
		b.WriteString("</rdf:li>")
	}
	b.WriteString("</rdf:Seq></comfyc:texts></rdf:Description></rdf:RDF></x:xmpmeta>")
	return append(out, b.Bytes()...)
}

// maxXMPTokens bounds the walk over a packet: tags and texts between them.
const maxXMPTokens = 10_000

// readXMP takes our texts from an XMP packet, and nothing else: other programs' packets say nothing that is needed here. It stops
// quietly where the packet is damaged. The decoder opens no entity of the document's own.
func (m *Meta) readXMP(data []byte) {
	if !bytes.Contains(data, []byte(xmpSpace)) {
		return
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	inTexts, item := false, ""
	for range maxXMPTokens {
		t, err := d.Token()
		if err != nil {
			return
		}
		switch t := t.(type) {
		case xml.StartElement:
			inTexts = inTexts || t.Name.Space == xmpSpace && t.Name.Local == "texts"
			item = ""
		// The text of one element may come in pieces.
		case xml.CharData:
			item += string(t)
		case xml.EndElement:
			if key, text, ok := strings.Cut(item, ":"); ok && inTexts && t.Name.Local == "li" {
				m.add(key, text)
				m.xmpTexts = true
			}
			item = ""
		}
	}
}
