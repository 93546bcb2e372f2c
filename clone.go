package testudo

import "reflect"

// Clone returns a copy of r that stays valid after r was handed over: what r
// points to and its slices are copied too. Indicators that hit (About.Hits)
// are shared, as nobody changes them.
func Clone(r Record) Record {
	c := reflect.New(reflect.TypeOf(r).Elem())
	c.Elem().Set(reflect.ValueOf(r).Elem())
	deepen(c.Elem())
	return c.Interface().(Record)
}

// deepen gives the struct v memory of its own for all it leads to.
func deepen(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.Slice:
			if f.CanSet() && !f.IsNil() && f.Type() != reflect.TypeFor[[]Hit]() {
				s := reflect.MakeSlice(f.Type(), f.Len(), f.Len())
				reflect.Copy(s, f)
				f.Set(s)
			}
		case reflect.Pointer:
			if f.CanSet() && !f.IsNil() {
				p := reflect.New(f.Type().Elem())
				p.Elem().Set(f.Elem())
				f.Set(p)
				if p.Elem().Kind() == reflect.Struct {
					deepen(p.Elem())
				}
			}
		case reflect.Struct:
			if f.CanSet() {
				deepen(f)
			}
		}
	}
}
