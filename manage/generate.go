package manage

//go:generate go run ./internal/offers
