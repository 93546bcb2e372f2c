package testudo

// A Threat is who or what indicators point to, by the name the field knows
// it by: a group, its software, a technique.
type Threat struct {
	ID       string // in ATT&CK ("G0027") where it has one, else the source's own
	Name     string
	Kind     ThreatKind
	Synonyms []string // other names, Name left out; two groups may share one
	Refs     []string // pages about it
}

// ThreatKind is what sort of threat one is.
type ThreatKind string

// The kinds, each with the STIX objects and MISP galaxies that are of it.
const (
	GroupThreat     ThreatKind = "group"     // intrusion-set, threat-actor
	CampaignThreat  ThreatKind = "campaign"  // campaign
	SoftwareThreat  ThreatKind = "software"  // malware, tool
	TechniqueThreat ThreatKind = "technique" // attack-pattern
)
