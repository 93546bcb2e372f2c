package testudo_test

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/testudo-shield/testudo"
)

// TestClone holds that a copy is equal and shares nothing that its original
// may be written anew with.
func TestClone(t *testing.T) {
	leaf := &testudo.X509{Names: []string{"a.example"}}
	r := &testudo.TLS{Chain: []string{"aa", "bb"}, Leaf: leaf}
	r.ID.Orig = netip.MustParseAddrPort("10.0.0.5:1")
	c := testudo.Clone(r).(*testudo.TLS)
	if !reflect.DeepEqual(c, r) {
		t.Fatalf("got %+v, want %+v", c, r)
	}
	r.Chain[0], leaf.Names[0], leaf.KeyPrint = "x", "y", "z"
	if c.Chain[0] != "aa" || c.Leaf.Names[0] != "a.example" || c.Leaf.KeyPrint != "" {
		t.Errorf("the copy follows its original: %+v %+v", c.Chain, c.Leaf)
	}
}

func BenchmarkClone(b *testing.B) {
	var r testudo.Record = &testudo.Conn{}
	for b.Loop() {
		testudo.Clone(r)
	}
}
