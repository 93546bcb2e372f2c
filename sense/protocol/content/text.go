package content

import "bytes"

// sign is a word that gives a kind of text away; first says that it must
// stand at the start, after white space.
type sign struct {
	word  string
	mime  string
	first bool
}

// Words are matched without regard to case, in the first kilobyte.
var signs = [...]sign{
	{"<hta:application", "application/hta", false},
	{"<!doctype html", "text/html", true},
	{"<html", "text/html", true},
	{"<head", "text/html", true},
	{"<body", "text/html", true},
	{"<script", "text/html", true},
	{"<iframe", "text/html", true},
	{"<table", "text/html", true},
	{"<meta ", "text/html", true},
	{"<svg", "image/svg+xml", true},
	{"<?php", "text/x-php", true},
	{"<?xml", "application/xml", true},
	{"-----begin ", "application/x-pem", true},
	{"@echo off", "text/x-msdos-batch", true},
	{"@echo ", "text/x-msdos-batch", true},
	{"[internetshortcut]", "application/x-mswinurl", true},
	{"#extm3u", "application/vnd.apple.mpegurl", true},
	{"from: ", "message/rfc822", true},
	{"received: ", "message/rfc822", true},
	{"return-path: ", "message/rfc822", true},
}

// hint is a word that speaks for a language; two different ones decide.
type hint struct{ word, mime string }

var hints = [...]hint{
	{"-executionpolicy", "text/x-powershell"},
	{"new-object ", "text/x-powershell"},
	{"invoke-expression", "text/x-powershell"},
	{"[system.", "text/x-powershell"},
	{"write-host", "text/x-powershell"},
	{"write-output", "text/x-powershell"},
	{"$env:", "text/x-powershell"},
	{"frombase64string", "text/x-powershell"},
	{"[convert]::", "text/x-powershell"},
	{"-erroraction", "text/x-powershell"},
	{"param(", "text/x-powershell"},
	{"function invoke-", "text/x-powershell"},
	{"iex ", "text/x-powershell"},
	{"[byte[]]", "text/x-powershell"},
	{"createobject(", "text/vbscript"},
	{"on error resume next", "text/vbscript"},
	{"wscript.", "text/vbscript"},
	{"end sub", "text/vbscript"},
	{"\ndim ", "text/vbscript"},
	{"function(", "application/javascript"},
	{"function (", "application/javascript"},
	{"document.", "application/javascript"},
	{"window.", "application/javascript"},
	{"var ", "application/javascript"},
	{"const ", "application/javascript"},
	{"=> {", "application/javascript"},
	{"activexobject", "application/javascript"},
	{"setlocal", "text/x-msdos-batch"},
	{"goto ", "text/x-msdos-batch"},
	{"%~dp0", "text/x-msdos-batch"},
	{"cmd /c", "text/x-msdos-batch"},
	{">nul", "text/x-msdos-batch"},
}

// textual tells kinds of text apart.
func textual(head []byte) string {
	var low [1024]byte
	b := head[:min(len(head), len(low))]
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	b = bytes.TrimLeft(b, " \t\r\n")
	n := copy(low[:], b)
	b = low[:n]
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	if len(b) == 0 {
		return "text/plain"
	}
	if m := shebang(b); m != "" {
		return m
	}
	start := b
	for bytes.HasPrefix(start, []byte("<!--")) { // pages often begin with comments
		end := bytes.Index(start, []byte("-->"))
		if end < 0 {
			return "text/html"
		}
		start = bytes.TrimLeft(start[end+3:], " \t\r\n")
	}
	for i := range signs {
		s := &signs[i]
		if s.first && hasPrefix(start, s.word) || !s.first && bytes.Contains(start, []byte(s.word)) {
			return s.mime
		}
	}
	if (b[0] == '{' || b[0] == '[') && jsonish(b) {
		return "application/json"
	}
	return language(b)
}

// language counts the hints of each language; the first with two wins.
func language(b []byte) string {
	best, mime := 1, "text/plain"
	for i := 0; i < len(hints); {
		of, n := hints[i].mime, 0
		for ; i < len(hints) && hints[i].mime == of; i++ {
			if bytes.Contains(b, []byte(hints[i].word)) {
				n++
			}
		}
		if n > best {
			best, mime = n, of
		}
	}
	return mime
}

func hasPrefix(b []byte, s string) bool { return len(b) >= len(s) && string(b[:len(s)]) == s }

// shebang reads the interpreter's name from a first line "#!/usr/bin/env x".
func shebang(b []byte) string {
	if !hasPrefix(b, "#!") {
		return ""
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for i := range interpreters {
		if bytes.Contains(line, []byte(interpreters[i].word)) {
			return interpreters[i].mime
		}
	}
	return "text/x-script"
}

var interpreters = [...]hint{
	{"python", "text/x-python"},
	{"perl", "text/x-perl"},
	{"ruby", "text/x-ruby"},
	{"php", "text/x-php"},
	{"pwsh", "text/x-powershell"},
	{"node", "application/javascript"},
	{"lua", "text/x-lua"},
	{"awk", "text/x-awk"},
	{"tclsh", "text/x-tcl"},
	{"sh", "text/x-shellscript"},
}

// jsonish asks that what follows the first bracket can stand there in JSON.
func jsonish(b []byte) bool {
	rest := bytes.TrimLeft(b[1:], " \t\r\n")
	if len(rest) == 0 {
		return true
	}
	if b[0] == '{' {
		return rest[0] == '"' || rest[0] == '}'
	}
	switch c := rest[0]; {
	case c == '{', c == '[', c == ']', c == '"', c == '-', c >= '0' && c <= '9':
		return true
	}
	return hasPrefix(rest, "true") || hasPrefix(rest, "false") || hasPrefix(rest, "null")
}
