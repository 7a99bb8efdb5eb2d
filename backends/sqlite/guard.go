package sqlite

import (
	"fmt"
	"reflect"
)

// Guard returns a function for SQLiteConn.RegisterFunc that does what fn does,
// except that a panic in it becomes an error of the SQL statement:
//
//	conn.RegisterFunc("parse", sqlite.Guard(parse), true)
//
// Without it a panic leaves SQLite by the back door, its connection locked: from then
// on every call on the connection hangs, Reset and Close too, its seat is never free
// again, and the database may stay locked for others. If the statement was given a
// ctx that can end, the panic ends the process, because the driver runs it on
// another goroutine.
//
// A fn that is not a function of one or two results, as RegisterFunc demands, is
// returned as it is, for RegisterFunc to refuse.
func Guard(fn any) any {
	errorType := reflect.TypeFor[error]()
	f := reflect.ValueOf(fn)
	if f.Kind() != reflect.Func || f.IsNil() {
		return fn
	}
	if n := f.Type().NumOut(); n < 1 || n > 2 || n == 2 && f.Type().Out(1) != errorType {
		return fn
	}
	var in []reflect.Type
	for i := range f.Type().NumIn() {
		in = append(in, f.Type().In(i))
	}
	out := []reflect.Type{f.Type().Out(0), errorType}
	guarded := func(args []reflect.Value) (results []reflect.Value) {
		returned := false
		defer func() {
			if !returned {
				err := fmt.Errorf("sqlite: function panicked: %v", recover())
				results = []reflect.Value{reflect.Zero(out[0]), reflect.ValueOf(&err).Elem()}
			}
		}()
		if f.Type().IsVariadic() {
			results = f.CallSlice(args)
		} else {
			results = f.Call(args)
		}
		returned = true
		if len(results) == 1 {
			results = append(results, reflect.Zero(out[1]))
		}
		return results
	}
	return reflect.MakeFunc(reflect.FuncOf(in, out, f.Type().IsVariadic()), guarded).Interface()
}
