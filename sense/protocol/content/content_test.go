package content

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// pe makes the least that has the shape of a Windows executable.
func pe(at int) string {
	b := make([]byte, at+4)
	copy(b, "MZ\x90\x00\x03")
	binary.LittleEndian.PutUint32(b[0x3c:], uint32(at))
	copy(b[at:], "PE\x00\x00")
	return string(b)
}

func TestMIME(t *testing.T) {
	for _, c := range []struct{ head, want string }{
		{"", ""},
		{pe(0x80), "application/x-dosexec"},
		{pe(0x80)[:0x60], "application/x-dosexec"},
		{"MZ\x00\x00", "application/x-dosexec"},
		{"MZ is not always a program", "text/plain"},
		{strings.Replace(pe(0x80), "PE\x00", "NE\x00", 1), "application/octet-stream"},
		{"\x7fELF\x02\x01\x01", "application/x-executable"},
		{"\xcf\xfa\xed\xfe\x07", "application/x-mach-o-executable"},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x02", "application/x-mach-o-executable"},
		{"\xca\xfe\xba\xbe\x00\x00\x00\x34", "application/x-java-applet"},
		{"PK\x03\x04\x14\x00 a.txt", "application/zip"},
		{"PK\x03\x04 META-INF/MANIFEST.MF", "application/java-archive"},
		{"PK\x03\x04 AndroidManifest.xml", "application/vnd.android.package-archive"},
		{"PK\x03\x04 [Content_Types].xml word/document.xml", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"PK\x03\x04 [Content_Types].xml xl/vbaProject.bin", "application/vnd.ms-excel.sheet.macroEnabled.12"},
		{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "application/CDFV2"},
		{"\x1f\x8b\x08\x00", "application/x-gzip"},
		{"7z\xbc\xaf\x27\x1c\x00", "application/x-7z-compressed"},
		{"Rar!\x1a\x07\x00", "application/x-rar"},
		{"MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"},
		{"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00F", "application/x-ms-shortcut"},
		{strings.Repeat("\x00", 0x8001) + "CD001", "application/x-iso9660-image"},
		{"dex\n035\x00", "application/x-dex"},
		{"CWS\x0a", "application/x-shockwave-flash"},
		{"%PDF-1.7", "application/pdf"},
		{"{\\rtf1", "text/rtf"},
		{"\x89PNG\r\n\x1a\n", "image/png"},
		{"RIFF\x00\x00\x00\x00WEBP", "image/webp"},
		{"  <!DOCTYPE html><html>", "text/html"},
		{"<!-- made by hand --><HTML>", "text/html"},
		{"<html><hta:application id=x>", "application/hta"},
		{"<?xml version='1.0'?>", "application/xml"},
		{`{"a": 1}`, "application/json"},
		{"[1,2]", "application/json"},
		{"[section]\r\nkey=1", "text/plain"},
		{"#!/bin/sh\nid", "text/x-shellscript"},
		{"#!/usr/bin/env python3\n", "text/x-python"},
		{"@ECHO OFF\r\n", "text/x-msdos-batch"},
		{"$c = New-Object Net.Sockets.TCPClient; $env:TEMP", "text/x-powershell"},
		{"Set s = CreateObject(\"WScript.Shell\")\nWScript.Echo 1", "text/vbscript"},
		{"(function() { var a = document.cookie; })()", "application/javascript"},
		{"plain words, nothing else", "text/plain"},
		{"простой текст", "text/plain"},
		{"\x01\x02\x03\x04", "application/octet-stream"},
	} {
		if got := MIME([]byte(c.head)); got != c.want {
			t.Errorf("MIME(%.40q) = %q, want %q", c.head, got, c.want)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		b    string
		want float64
	}{
		{"", 0}, {"abc\r\n\t", 1}, {"a\x00", 0.5}, {"é", 1}, {"ab\xc3", 1}, {"\xff\xfe\xfd\xfc", 0}, {"ab\xe2\x82", 1},
	} {
		if got := Text([]byte(c.b)); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("Text(%q) = %v, want %v", c.b, got, c.want)
		}
	}
}

func FuzzMIME(f *testing.F) {
	for _, s := range []string{"", "MZ", pe(0x40), "PK\x03\x04", "RIFF", "<!--", "#!", "\xca\xfe\xba\xbe\x00\x00\x00\x02"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got := MIME(b); (got == "") != (len(b) == 0) {
			t.Errorf("MIME(%q) = %q", b, got)
		}
		if got := Text(b); got < 0 || got > 1 {
			t.Errorf("Text(%q) = %v", b, got)
		}
	})
}

func BenchmarkMIME(b *testing.B) {
	head := []byte(strings.Repeat("some text with no signature at all\n", 120))[:Head]
	b.ReportAllocs()
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		MIME(head)
	}
}
