//go:build linux

package afpacket

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/testudo-shield/testudo/sense/source/afpacket/program"
)

// link is how frames of an interface are read.
type link struct {
	dlt    uint32 // link type of the frames
	cooked bool   // the kernel takes the link header off
}

// linkOf tells it from the interface's hardware type. Ethernet and wireless
// frames are read whole. Of all else, tun and other tunnels, serial lines and
// the like, the part from the IP header on is read, which is the same in both
// directions.
func linkOf(hardware uint16) link {
	switch hardware {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return link{dlt: program.Ethernet}
	case unix.ARPHRD_IEEE80211:
		return link{dlt: 105}
	case unix.ARPHRD_IEEE80211_PRISM:
		return link{dlt: 119}
	case unix.ARPHRD_IEEE80211_RADIOTAP:
		return link{dlt: 127}
	}
	return link{dlt: program.Raw, cooked: true}
}

// iface is what the kernel says of an interface.
type iface struct {
	name     string
	index    int
	up       bool
	hardware uint16
	mtu      int
}

// askSocket opens a socket of no use but to ask the kernel with. It needs no
// rights.
func askSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("afpacket: socket to ask for interfaces: %w", err)
	}
	return fd, nil
}

// lookUp asks for the interface of that name. Interfaces belong to network
// namespaces; the socket's counts.
func lookUp(fd int, name string) (iface, error) {
	i := iface{name: name}
	ifr, err := unix.NewIfreq(name)
	if err != nil || name == "" {
		return i, fmt.Errorf("interface %q: %w", name, ErrNoInterface)
	}
	for _, ask := range []struct {
		req  uint
		take func()
	}{
		{unix.SIOCGIFINDEX, func() { i.index = int(ifr.Uint32()) }},
		{unix.SIOCGIFFLAGS, func() { i.up = ifr.Uint16()&unix.IFF_UP != 0 }},
		{unix.SIOCGIFHWADDR, func() { i.hardware = ifr.Uint16() }},
		{unix.SIOCGIFMTU, func() { i.mtu = int(ifr.Uint32()) }},
	} {
		if err := unix.IoctlIfreq(fd, ask.req, ifr); errors.Is(err, unix.ENODEV) {
			return i, fmt.Errorf("interface %q: %w", name, ErrNoInterface)
		} else if err != nil {
			return i, fmt.Errorf("interface %q: ask the kernel: %w", name, err)
		}
		ask.take()
	}
	return i, nil
}

// nameOf returns the name that the interface of that index has now, empty if
// there is none.
func nameOf(fd, index int) string {
	ifr, _ := unix.NewIfreq("")
	ifr.SetUint32(uint32(index))
	if unix.IoctlIfreq(fd, unix.SIOCGIFNAME, ifr) != nil {
		return ""
	}
	return ifr.Name()
}
