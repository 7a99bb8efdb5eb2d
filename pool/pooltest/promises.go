package pooltest

import "github.com/lidopool/lido/pool"

// seatingPromises are tested on the seating alone. A strategy that breaks one of them may lead a
// pool into states that it takes for its own bugs, and panics.
func seatingPromises() []promise {
	return []promise{
		{
			name:        "LimitsMakeSense",
			explanation: "Limits tells how many seats there are, at least one, and keeps no more idle than that; New and error messages rely on it.",
			run:         limitsMakeSense,
		}, {
			name:        "SeatsAreInOnePairOfHands",
			explanation: "a seat is the seating's, nobody's, the opener's or the pool's: it is not opened while held, nor granted while it is opened, held or empty.",
			run:         seatsAreInOnePairOfHands,
		}, {
			name:        "ClaimTakesOnlyIdleSeats",
			explanation: "Claim takes a seat only if it is idle, and nobody is granted it until it is given back with Release.",
			run:         claimTakesOnlyIdleSeats,
		}, {
			name:        "ReplaceKeepsItsPlaceAtTheHead",
			explanation: "a holder whose resource is unfit gets the next one before all who wait, and a failed Replace leaves its seat to them.",
			run:         replaceKeepsItsPlace,
		}, {
			name:        "OverdueOpenKeepsItsSeat",
			explanation: "an open that does not return fails its waiter and nobody else; its seat is counted until it comes back, and serves the next then.",
			run:         overdueOpenKeepsItsSeat,
		}, {
			name:        "ClosedSeatingTakesNothing",
			explanation: "after Close the seating takes no open resource: Opened and Release say so, and the pool closes it and returns the seat empty.",
			run:         closedSeatingTakesNothing,
		}, {
			name:        "ClosedSeatingGivesUpWhatIsIdle",
			explanation: "after Close nobody is lent what was idle, and the pool can claim all of it, to close it.",
			run:         closedSeatingGivesUpWhatIsIdle,
		}, {
			name:        "UnneededOpenIsNotBegun",
			explanation: "Begin says no to an open whose acquirer has left, and the seat is the seating's again: nobody burdens a backend for nothing.",
			applies:     func(n nature) bool { return n.refusal == nil },
			run:         unneededOpenIsNotBegun,
		}, {
			name:        "StockOpensForNobody",
			explanation: "Stock asks for what is missing of n and no more, within Limits; these opens begin and are taken though nobody waits: that is how a pool is warmed.",
			applies:     func(n nature) bool { return n.Keep != 0 },
			run:         stockOpensForNobody,
		}, {
			name:        "PausedSeatingLendsNothing",
			explanation: "while paused, returns are taken, acquirers wait or are refused with ErrSuspended, and only holders under Nested join what they hold; then those who wait are served.",
			run:         pausedSeatingLendsNothing,
		}, {
			name:        "ResizeChangesNumbersOnly",
			explanation: "Resize, where there is one, refuses other kinds, accepts the strategy that the seating is of, and disturbs nobody.",
			run:         resizeChangesNumbersOnly,
		}, {
			name:        "JoiningNeedsReady",
			explanation: "nobody joins a resource before its first holder has said Ready, when it has passed its checks; then others join at once.",
			applies:     nature.shares,
			run:         joiningNeedsReady,
		}, {
			name:        "OnlyTheLastLeaves",
			explanation: "of the holders of one tenancy exactly one is told that it is the last; it ends the tenancy, after which the old grants are void.",
			applies:     nature.shares,
			run:         onlyTheLastLeaves,
		}, {
			name:        "NobodyJoinsADrainedTenancy",
			explanation: "after Drain the resource goes once its holders have left: who comes meanwhile gets the next tenancy.",
			applies:     nature.shares,
			run:         nobodyJoinsADrainedTenancy,
		},
	}
}

// poolPromises are tested through a pool. Those about the line need a strategy that has one; the
// kit says which it left out.
func poolPromises() []promise {
	return []promise{
		{
			name:        "EachStartIsIndependent",
			explanation: "a Strategy is a plain value that may serve any number of pools; what one of them does is not seen by another.",
			run:         eachStartIsIndependent,
		}, {
			name:        "SeatsBoundWhatIsOpen",
			explanation: "there are never more resources open, or being opened or closed, than Limits.Seats: the server counts them too.",
			applies:     nature.bounded,
			run:         seatsBoundWhatIsOpen,
		}, {
			name:        "TrafficLeavesEveryoneWhole",
			explanation: "whatever verbs come together, each exclusive resource has one owner, each is closed exactly once, every seat comes home, and the counters agree.",
			run:         trafficLeavesEveryoneWhole,
		}, {
			name:        "KeepBoundsWhatIsIdle",
			explanation: "at most Limits.Keep resources stay open while idle; what is returned beyond that is closed, or stays for Limits.Linger.",
			run:         keepBoundsWhatIsIdle,
		}, {
			name:        "FirstComeFirstServed",
			explanation: "waiters are served in order of arrival, also when others among them give up; else some starve.",
			applies:     nature.waits,
			run:         firstComeFirstServed,
		}, {
			name:        "NewcomerDoesNotOvertakeTheLine",
			explanation: "who returns a seat and acquires again stands behind those who wait; else a busy loop starves them.",
			applies:     nature.waits,
			run:         newcomerDoesNotOvertake,
		}, {
			name:        "FailedOpenWakesTheNext",
			explanation: "an open that fails answers one waiter and frees its seat for the next at once; nobody sits out a timeout beside a free seat.",
			run:         failedOpenWakesTheNext,
		}, {
			name:        "EveryWaiterIsAnsweredWhenAllOpensFail",
			explanation: "while the backend is down each waiter gets the error of an open, in turn, and none is forgotten.",
			applies:     func(n nature) bool { return n.refusal == nil },
			run:         everyWaiterIsAnswered,
		}, {
			name:        "CanceledWaiterLosesNoSeat",
			explanation: "hand-over and cancellation are decided at one place: either the waiter got the seat, and says so, or the next one gets it.",
			applies:     nature.waits,
			run:         canceledWaiterLosesNoSeat,
		}, {
			name:        "WaiterCanceledInMidServiceLosesNoSeat",
			explanation: "a waiter that learns of its end after it was served has got the seat: it takes it, or gives it back.",
			applies:     nature.waits,
			run:         waiterCanceledInMidServiceLosesNoSeat,
		}, {
			name:        "CanceledWaiterGetsNothing",
			explanation: "a waiter whose ctx has ended is not given a seat, even if it has not noticed yet: it would only be in the way.",
			applies:     nature.waits,
			run:         canceledWaiterGetsNothing,
		}, {
			name:        "OpenOfOneWhoLeftServesTheNext",
			explanation: "an open belongs to the pool: when its caller gives up, whoever comes next gets it, and no seat is lost if nobody comes.",
			run:         orphanedOpenServesTheNext,
		}, {
			name:        "ReturnComesBeforeASlowOpen",
			explanation: "a waiter takes whatever comes first, a returned resource or a finished open.",
			applies:     func(n nature) bool { return n.waits() && n.Sharing == pool.Exclusive && n.Keep != 0 && n.many() > 1 },
			run:         returnComesBeforeASlowOpen,
		}, {
			name:        "CloseWakesEveryone",
			explanation: "Close answers every waiter with ErrClosed, and everyone who comes later.",
			run:         closeWakesEveryone,
		}, {
			name:        "TryAcquireNeverWaitsForAHolder",
			explanation: "under NoWait an acquirer does not stand in line for a seat that others hold, and under WhileMoving not in one that stands still.",
			run:         tryAcquireNeverWaits,
		}, {
			name:        "SecondReleaseIsHarmless",
			explanation: "a lease ends once: a second Release takes nothing from the next holder, and frees no second seat.",
			run:         secondReleaseIsHarmless,
		}, {
			name:        "OwnersKeepApart",
			explanation: "holders of different owners never share a resource, unless the strategy says Common.",
			applies:     nature.apart,
			run:         ownersKeepApart,
		},
	}
}
