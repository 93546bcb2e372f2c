package main

import (
	"fmt"
	"reflect"
)

// change is a key whose value is another one in a newer configuration.
type change struct {
	Key string
	Now bool // takes effect at once; else when the service is started again
}

func (c change) String() string {
	if c.Now {
		return c.Key + ": taken over"
	}
	return c.Key + ": changed in the file, takes effect after:  systemctl restart testudo-sensor testudo"
}

// reload reads file again. If it is wrong, c is returned as it is, with the
// error. Else what may change while the service runs is taken over; changed
// tells it, and also what has to wait for a restart, in the order of the keys.
func (c config) reload(file string) (next config, changed []change, err error) {
	fresh, err := loadConfig(file)
	if err != nil {
		return c, nil, fmt.Errorf("the configuration stays as it was, because the new one is wrong:\n%w", err)
	}
	next = c
	takeOver(reflect.ValueOf(&next).Elem(), reflect.ValueOf(fresh), "", &changed)
	return next, changed, nil
}

func takeOver(have, fresh reflect.Value, prefix string, changed *[]change) {
	for i := range have.NumField() {
		f := have.Type().Field(i)
		old, to := have.Field(i), fresh.Field(i)
		if old.Kind() == reflect.Struct {
			takeOver(old, to, prefix+f.Tag.Get("yaml")+".", changed)
			continue
		}
		if reflect.DeepEqual(old.Interface(), to.Interface()) {
			continue
		}
		now := f.Tag.Get("reload") == "now"
		*changed = append(*changed, change{prefix + f.Tag.Get("yaml"), now})
		if now {
			old.Set(to)
		}
	}
}
