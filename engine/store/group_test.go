package store

import "testing"

func TestAGroupMakesRoomAndWakes(t *testing.T) {
	for name, c := range map[string]struct {
		g           Group
		room, wakes bool
	}{
		"full":                      {Group{Total: 9, AtMost: 4, Next: 4, Open: 4}, false, false},
		"room":                      {Group{Total: 9, AtMost: 4, Next: 4, Open: 3, Completed: 1}, true, false},
		"all have begun":            {Group{Total: 4, AtMost: 4, Next: 4, Open: 3, Completed: 1}, false, false},
		"all have ended":            {Group{Total: 4, AtMost: 4, Next: 4, Completed: 4}, false, true},
		"one is tolerated":          {Group{Total: 9, AtMost: 4, Next: 4, Open: 3, Failed: 1, Tolerate: 1}, true, false},
		"too many failed":           {Group{Total: 9, AtMost: 4, Next: 4, Open: 3, Failed: 1}, false, true},
		"that was decided":          {Group{Total: 9, AtMost: 4, Next: 4, Open: 3, Failed: 1, Stopped: true}, false, false},
		"stopped for another cause": {Group{Total: 9, AtMost: 4, Next: 4, Open: 3, Canceled: 1, Stopped: true}, false, false},
		"not enough":                {Group{Total: 9, AtMost: 4, Next: 4, Open: 3, Completed: 1, Need: 2}, true, false},
		"enough":                    {Group{Total: 9, AtMost: 4, Next: 4, Open: 2, Completed: 2, Need: 2}, false, true},
		"half reopened":             {Group{Total: 9, AtMost: 4, Next: 9, Open: 2, Completed: 3, Again: 4}, false, true},
		"more than half":            {Group{Total: 9, AtMost: 4, Next: 9, Open: 3, Completed: 2, Again: 4}, false, false},
		"none is reopened any more": {Group{Total: 9, AtMost: 4, Next: 9, Open: 2, Canceled: 3, Again: 4, Stopped: true}, false, false},
	} {
		if c.g.Room() != c.room || c.g.Wakes() != c.wakes {
			t.Errorf("%s: room %v, wakes %v", name, c.g.Room(), c.g.Wakes())
		}
	}
}

func TestAGroupCountsHowSubRunsEnd(t *testing.T) {
	g := Group{Open: 5}
	g.Ended(Completed)
	g.Ended(Canceled) // by somebody else
	g.Ended(TimedOut)
	g.Stopped = true
	g.Ended(Canceled)
	g.Ended(Failed)
	if g != (Group{Completed: 1, Failed: 3, Canceled: 1, Stopped: true}) {
		t.Errorf("%+v", g)
	}
	again := Group{Total: 2}
	(Opening{}).Found(&again, 5, 3) // the list has become shorter
	again.Reopened()
	if again != (Group{Total: 5, Next: 5, Completed: 3, Again: 1, Open: 1}) {
		t.Errorf("%+v", again)
	}
	var none *Group
	one := &Group{Step: "load", Generation: 1}
	if none.Is("load", 1) || one.Is("load", 0) || one.Is("other", 1) || !one.Is("load", 1) {
		t.Error("a group is of one step and generation")
	}
}
