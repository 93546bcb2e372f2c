package channel

// meaning returns what a TCP port is for, "" for one that no common service
// uses (IANA's registry, the part of it that networks know).
func meaning(port uint16) string {
	switch port {
	case 20, 21, 989, 990:
		return "ftp"
	case 22:
		return "ssh"
	case 23, 992:
		return "telnet"
	case 25, 465, 587:
		return "smtp"
	case 53, 853:
		return "dns"
	case 80, 8000, 8008, 8080, 8081, 8088, 8888, 3128:
		return "http"
	case 443, 8443, 9443:
		return "https"
	case 110, 995:
		return "pop3"
	case 143, 993:
		return "imap"
	case 135, 139, 445, 593:
		return "windows services"
	case 88, 464, 749:
		return "kerberos"
	case 389, 636, 3268, 3269:
		return "ldap"
	case 119, 563:
		return "news"
	case 194, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6697, 7000:
		return "chat"
	case 102, 502, 2404, 4840, 20000, 44818, 47808, 9600, 1089, 1090, 1091, 18245, 18246, 5007, 5006, 789, 2455, 34962, 34963, 34964:
		return "industrial control"
	case 1433, 1434, 1521, 3306, 5432, 6379, 27017, 9042, 11211, 50000, 7687, 9092, 2181, 9200, 9300:
		return "a database"
	case 1883, 8883, 5671, 5672, 61613, 61614, 61616, 4222:
		return "messages"
	case 1935, 554, 8554, 1755:
		return "media"
	case 3389, 5900, 5901, 5938, 4000, 7070, 5800, 6000, 6001, 1494, 2598:
		return "remote screens"
	case 5060, 5061, 1720, 2000, 3478, 5349, 19302:
		return "telephony"
	case 5222, 5223, 5228, 5229, 5230, 5269, 4244:
		return "instant messages"
	case 2049, 111, 548, 873, 3260, 3690, 9418, 1194, 1701, 1723, 500, 4500, 655:
		return "files or networks"
	case 179, 514, 6514, 161, 162, 199, 49, 1812, 1813, 3868, 2123, 2152, 36412, 38412, 3784, 646, 2055, 4739:
		return "network management"
	case 515, 631, 9100, 5357, 5985, 5986, 8009, 7680, 10050, 10051, 5666:
		return "office services"
	case 6881, 6882, 6883, 6884, 6885, 6886, 6887, 6888, 6889, 4662, 1214, 6346, 6347, 51413, 8333, 30303:
		return "peer to peer"
	}
	return ""
}

// foreign tells whether a service found by content has no business on a port
// that means another: one of those that every network knows, on a port where
// neither it nor what wraps it is at home.
func foreign(means, service string) bool {
	switch service {
	case "http", "ssl", "ssh", "smtp", "ftp", "irc", "telnet":
	default:
		return false // several, or one of those whose ports vary
	}
	if means == "" || means == service {
		return false
	}
	switch means {
	case "https":
		return service != "ssl"
	case "ssh", "windows services", "kerberos", "industrial control":
		return true
	case "dns", "telnet", "smtp", "pop3", "imap", "news", "ftp", "ldap", "chat", "http":
		return service != "ssl" && !(means == "chat" && service == "irc")
	}
	// What is left carries the web or TLS on the side: panels, printers, players.
	return service != "http" && service != "ssl"
}
