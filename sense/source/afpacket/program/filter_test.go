package program

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

// sample is one frame of each sort that filters tell apart.
func sample() map[string][]byte {
	v6frag := func(off int) []byte {
		return ip("2001:db8::1", "2001:db8::2", 44, 0, join([]byte{17, 0}, be16(off), make([]byte, 4), udp(53, 9999, nil)))
	}
	return map[string][]byte{
		"tcp":      ethernet(typeIPv4, ip("10.0.0.1", "192.0.2.7", 6, 0, tcp(40000, 443))),
		"back":     ethernet(typeIPv4, ip("192.0.2.7", "10.0.0.1", 6, 0, tcp(443, 40000))),
		"options":  ethernet(typeIPv4, options(ip("10.0.0.1", "192.0.2.7", 6, 0, tcp(40000, 443)))),
		"dns":      ethernet(typeIPv4, ip("10.1.0.5", "10.0.0.53", 17, 0, udp(5353, 53, make([]byte, 900)))),
		"later":    ethernet(typeIPv4, ip("10.1.0.5", "10.0.0.53", 17, 0x10, udp(5353, 53, nil))),
		"first":    ethernet(typeIPv4, ip("10.1.0.5", "10.0.0.53", 17, 0x2000, udp(5353, 53, nil))),
		"ping":     ethernet(typeIPv4, ip("10.0.0.1", "172.16.3.4", 1, 0, []byte{8, 0, 0, 0})),
		"sctp":     ethernet(typeIPv4, ip("10.0.0.1", "172.16.3.4", 132, 0, tcp(7, 443))),
		"gre":      ethernet(typeIPv4, ip("10.0.0.1", "172.16.3.4", 47, 0, make([]byte, 30))),
		"v6":       ethernet(typeIPv6, ip("2001:db8::1", "2001:db8:0:1::9", 6, 0, tcp(443, 6005))),
		"ping6":    ethernet(typeIPv6, ip("fe80::1", "ff02::1", 58, 0, []byte{128, 0, 0, 0})),
		"v6first":  ethernet(typeIPv6, v6frag(1)),
		"v6later":  ethernet(typeIPv6, v6frag(0x41)),
		"arp":      ethernet(typeARP, arp("10.0.0.1", "10.0.0.53")),
		"tagged":   tagged(0x8100, 10, typeIPv4, ip("10.0.0.1", "192.0.2.7", 6, 0, tcp(40000, 443))),
		"two tags": tagged(0x88a8, 30, 0x8100, join(be16(10), be16(typeIPv4), ip("10.0.0.1", "192.0.2.7", 6, 0, tcp(40000, 443)))),
		"lldp":     ethernet(0x88cc, make([]byte, 46)),
	}
}

func TestFilter(t *testing.T) {
	for _, c := range []struct{ filter, frames string }{
		{"", "all"},
		{"ip", "back dns first gre later options ping sctp tagged tcp two tags"},
		{"not ip and not ip6", "arp lldp"},
		{"icmp or icmp6", "ping ping6"},
		{"port 443", "back options sctp tagged tcp two tags v6"},
		{"dst port 443", "options sctp tagged tcp two tags"},
		{"tcp src port 443 or 40000", "back options tagged tcp two tags v6"},
		{"udp port 53", "dns first v6first"},
		{"portrange 6000-6010", "v6"},
		{"src and dst portrange 440-40000", "back options tagged tcp two tags v6"},
		{"host 10.0.0.53", "arp dns first later"},
		{"10.0.0.53", "arp dns first later"},
		{"src 192.0.2.7", "back"},
		{"ip host 172.16.3.4 and not sctp", "gre ping"},
		{"net 10.1", "dns first later"},
		{"dst net 172.16.0.0/12", "gre ping sctp"},
		{"src or dst net 2001:db8:0:1::/64", "v6"},
		{"host 2001:db8::1", "v6 v6first v6later"},
		{"proto 47", "gre"},
		{"ip proto \\tcp and host 192.0.2.7", "back options tagged tcp two tags"},
		{"ip6 proto udp", "v6first v6later"},
		{"vlan", "tagged two tags"},
		{"vlan 10", "tagged"},
		{"vlan 30 && host 10.0.0.1", "two tags"},
		{"arp", "arp"},
		{"greater 900", "dns"},
		{"less 44", "arp first later ping"},
		// and and or bind alike, from the left
		{"arp or udp and port 53", "dns first v6first"},
		{"arp or (udp and port 53)", "arp dns first v6first"},
		{"!(ip || ip6)", "arp lldp"},
	} {
		p, err := filter(c.filter, Ethernet, false)
		if err != nil {
			t.Error(err)
			continue
		}
		for name, frame := range sample() {
			n, err := run(p, frame)
			if err != nil {
				t.Fatal(err)
			}
			if want := c.frames == "all" || wanted(c.frames, name); want != (n > 0) {
				t.Errorf("%q on %s: %d, want %v", c.filter, name, n, want)
			}
		}
	}
}

func wanted(list, name string) bool {
	if name == "two tags" {
		return strings.HasSuffix(list, name) || strings.Contains(list, name+" ")
	}
	for _, s := range strings.Fields(list) {
		if s == name {
			return true
		}
	}
	return false
}

// TestFilterRaw reads frames that begin with an IP header.
func TestFilterRaw(t *testing.T) {
	p, err := filter("udp and net 10.1 or port 443", Raw, true)
	if err != nil {
		t.Fatal(err)
	}
	for name, frame := range sample() {
		if !wanted("dns later first tcp back options sctp v6 ping", name) {
			continue
		}
		if n, _ := run(p, frame[14:]); (n > 0) != (name != "ping") {
			t.Errorf("%s: %d", name, n)
		}
	}
}

// TestFilterErrors holds that each error names the word and its place.
func TestFilterErrors(t *testing.T) {
	for _, c := range []struct {
		filter string
		column int
		reason string
	}{
		{"tcp prot 80", 5, "expected and, or"},
		{"fo", 1, "unknown word; known are host"},
		{"host example.org", 6, "names are not looked up"},
		{"port http", 6, "a number up to 65535"},
		{"port 70000", 6, "a number up to 65535"},
		{"host 10.0.0.0/8", 6, "write net"},
		{"net 10.0.0.1/8", 5, "10.0.0.0/8 is meant"},
		{"(tcp", 5, "expected )"},
		{"tcp and", 8, "expected a word"},
		{"tcp)", 4, "expected and, or"},
		{"tcp[13] & 2 != 0", 1, "tcpdump -ddd"},
		{"portrange 10-5", 11, "two ports"},
		{"vlan 5000", 6, "up to 4095"},
		{"host ::ffff:1.2.3.4", 6, "IPv4 or IPv6"},
		{"tcp proto 6", 1, "only ip and ip6"},
		{strings.Repeat("(", 100), 65, "too deep"},
		{strings.Repeat("not ", 100), 257, "too deep"},
		{strings.Repeat("tcp or ", 20000), 1, "longer than 65536 bytes"},
	} {
		_, err := Filter(c.filter, Ethernet)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Column != c.column || !strings.Contains(syntax.Reason, c.reason) {
			t.Errorf("%.40q: %v", c.filter, err)
		}
	}
	if _, err := Filter("vlan", Raw); err == nil {
		t.Error("vlan on a link without Ethernet was accepted")
	}
	if _, err := Filter("tcp", 105); err == nil {
		t.Error("an expression for wireless frames was accepted")
	}
	if _, err := Filter(strings.Repeat("tcp or ", 2500)+"tcp", Ethernet); err == nil || !strings.Contains(err.Error(), "4096") {
		t.Errorf("a program too long: %v", err)
	}
}

// TestFilterLong holds that far jumps arrive.
func TestFilterLong(t *testing.T) {
	p, err := filter(strings.Repeat("host 1.2.3.4 or ", 60)+"net 10.0.0.0/8", Ethernet, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"tcp": true, "arp": true, "v6": false} {
		if n, _ := run(p, sample()[name]); want != (n > 0) {
			t.Errorf("%s: %d of %d instructions", name, n, len(p))
		}
	}
}

func TestFilterNumbers(t *testing.T) {
	for _, text := range []string{"4\n40 0 0 12\n21 0 1 2048\n6 0 0 262144\n6 0 0 0\n", "4,40 0 0 12,21 0 1 2048,6 0 0 262144,6 0 0 0"} {
		p, err := Filter(text, Ethernet)
		if err != nil {
			t.Fatal(err)
		}
		Cut(p, 96)
		for name, want := range map[string]int{"tcp": 96, "arp": 0} {
			if n, _ := run(p, sample()[name]); n != want {
				t.Errorf("%s: %d, want %d", name, n, want)
			}
		}
	}
	for _, text := range []string{",", "5\n6 0 0 0", "1\n6 0 0", "1\n6 0 0 99999999999", "0\n", "\n1"} {
		if p, err := Filter(text, Ethernet); err == nil && len(p) > 1 {
			t.Errorf("%q was accepted", text)
		}
	}
}

// TestFilterAgainstTcpdump runs tcpdump's own programs on the same frames.
func TestFilterAgainstTcpdump(t *testing.T) {
	if _, err := exec.LookPath("tcpdump"); err != nil {
		t.Skip("SKIPPED: tcpdump is not installed")
	}
	for _, text := range []string{
		"ip", "ip6", "arp", "tcp", "udp", "icmp", "icmp6", "sctp", "port 443", "src port 443", "udp port 53 or 443",
		"host 10.0.0.1", "src host 10.0.0.1", "dst 10.0.0.53", "net 10.0.0.0/8", "src net 10.1", "host 2001:db8::1",
		"net 2001:db8:0:1::/64", "ip proto 47", "portrange 50-6010", "not port 443 and not arp", "less 60", "greater 60",
		"arp or udp and port 53", "tcp or udp and host 10.0.0.53 or icmp", "src and dst net 10.0.0.0/8", "arp host 10.0.0.53",
		"not (host 10.0.0.1 or 10.0.0.53)", "src or dst port 443",
	} {
		out, err := exec.Command("tcpdump", "-i", "lo", "-y", "EN10MB", "-ddd", text).Output()
		if err != nil {
			t.Skipf("SKIPPED: tcpdump may not open lo here, which it needs to translate: %v", err)
		}
		theirs, err := Filter(string(out), Ethernet)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := filter(text, Ethernet, false)
		if err != nil {
			t.Error(err)
			continue
		}
		for name, frame := range sample() {
			if strings.Contains(name, "tag") || name == "v6first" {
				continue // we pass over tags, and find the ports of a first IPv6 fragment
			}
			a, err1 := run(ours, frame)
			b, err2 := run(theirs, frame)
			if err1 != nil || err2 != nil || (a > 0) != (b > 0) {
				t.Errorf("%q on %s: ours %d, theirs %d (%v, %v)", text, name, a, b, err1, err2)
			}
		}
	}
}

// FuzzFilter holds that no text panics, and that what is accepted is a
// program that ends on any frame.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{
		"tcp port 80 or 443", "not (src net 10.0.0.0/8 and vlan 5)", "src or dst host ::1", "1\n6 0 0 9", ",", "ip proto \\udp", "portrange 1-2 && !arp", "less 5",
	} {
		f.Add(text, []byte("some frame that is long enough to be a header of something"))
	}
	for _, frame := range sample() {
		f.Add("host 10.0.0.1", frame)
	}
	f.Fuzz(func(t *testing.T, text string, frame []byte) {
		for _, link := range []uint32{Ethernet, Raw} {
			if _, err := Filter(text, link); err != nil || isProgram(text) {
				continue
			}
			p, err := filter(text, link, false)
			if err != nil {
				t.Fatal(err)
			}
			ins, whole := bpf.Disassemble(p)
			vm, err := bpf.NewVM(ins)
			if err != nil || !whole {
				t.Fatalf("%q: %v", text, err)
			}
			if _, err := vm.Run(frame); err != nil {
				t.Fatalf("%q: %v", text, err)
			}
		}
	})
}
