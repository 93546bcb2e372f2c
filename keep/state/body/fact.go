package body

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/testudo-shield/testudo"
)

// fact is a testudo.Fact with the type of its value beside it, so that an
// int comes back as an int and not as JSON's float.
type fact struct {
	Name  text            `json:"name"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

func factOf(f testudo.Fact) (fact, error) {
	var kind string
	var value any
	switch v := f.Value.(type) {
	case nil:
		kind = "nil"
	case string:
		kind, value = "string", text(v)
	case bool:
		kind, value = "bool", v
	case int:
		kind, value = "int", v
	case int64:
		kind, value = "int64", v
	case float64:
		kind, value = "float64", number(v)
	case []string:
		kind, value = "strings", texts(v)
	case testudo.Time:
		kind, value = "time", int64(v)
	case time.Duration:
		kind, value = "duration", int64(v)
	case testudo.UID:
		kind, value = "uid", uint64(v)
	case netip.Addr:
		kind, value = "address", v
	case testudo.Aggregate:
		kind, value = "aggregate", v
	default:
		return fact{}, fmt.Errorf("fact %q: a %T %w", f.Name, v, ErrType)
	}
	body, err := json.Marshal(value)
	return fact{text(f.Name), kind, body}, err
}

func (f fact) fact() (out testudo.Fact, err error) {
	out.Name = string(f.Name)
	switch f.Type {
	case "nil":
	case "string":
		var v text
		err = json.Unmarshal(f.Value, &v)
		out.Value = string(v)
	case "bool":
		var v bool
		err = json.Unmarshal(f.Value, &v)
		out.Value = v
	case "int":
		var v int64
		v, err = strconv.ParseInt(string(f.Value), 10, strconv.IntSize)
		out.Value = int(v)
	case "int64":
		var v int64
		err = json.Unmarshal(f.Value, &v)
		out.Value = v
	case "float64":
		var v number
		err = json.Unmarshal(f.Value, &v)
		out.Value = float64(v)
	case "strings":
		var v []text
		err = json.Unmarshal(f.Value, &v)
		out.Value = plain(v)
	case "time":
		out.Value, err = read[testudo.Time, int64](f.Value)
	case "duration":
		out.Value, err = read[time.Duration, int64](f.Value)
	case "uid":
		out.Value, err = read[testudo.UID, uint64](f.Value)
	case "address":
		var v netip.Addr
		err = json.Unmarshal(f.Value, &v)
		out.Value = v
	case "aggregate":
		var v testudo.Aggregate
		err = json.Unmarshal(f.Value, &v)
		out.Value = v
	default:
		err = fmt.Errorf("unknown type %q", f.Type)
	}
	if err != nil {
		return out, fmt.Errorf("fact %q: %w", f.Name, err)
	}
	return out, nil
}

// read reads a number into a type that writes itself otherwise.
func read[T ~int64 | ~uint64, N int64 | uint64](b []byte) (T, error) {
	var n N
	err := json.Unmarshal(b, &n)
	return T(n), err
}
