package manage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"

	"github.com/lidopool/lido/internal/settings"
	"github.com/lidopool/lido/strategies"
)

// String is s as ParseSettings reads it, without what is zero.
func (s Settings) String() string {
	var pairs []settings.Pair
	if q, err := s.Strategy.Query(); err == nil {
		for _, key := range strategies.QueryKeys() {
			if q.Has(key) {
				pairs = append(pairs, settings.Pair{Key: key, Value: q.Get(key)})
			}
		}
	}
	for _, p := range settings.Pairs(&s, fields()) {
		pairs = append(pairs, settings.Pair{Key: settingPrefix + p.Key, Value: p.Value})
	}
	return settings.QueryText(pairs)
}

// MarshalText is String, or an error if s is not valid.
func (s Settings) MarshalText() ([]byte, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	return []byte(s.String()), nil
}

// UnmarshalText is ParseSettings.
func (s *Settings) UnmarshalText(text []byte) error {
	query, err := url.ParseQuery(string(text))
	if err != nil {
		return fmt.Errorf("manage: settings %.64q: %w", text, err)
	}
	got, err := Settings{}.withQuery(query)
	return s.set(got, err)
}

// UnmarshalJSON reads an object, with the names of a DSN without "pool_":
// {"strategy": "queue", "size": 5, "ping": true}; or a string, as ParseSettings does.
func (s *Settings) UnmarshalJSON(data []byte) error {
	data = bytes.TrimSpace(data)
	switch {
	case string(data) == "null":
		return nil
	case bytes.HasPrefix(data, []byte(`"`)):
		var text string
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("manage: settings: %w", err)
		}
		return s.UnmarshalText([]byte(text))
	}
	given, err := settings.JSON(data)
	if err != nil {
		return fmt.Errorf("manage: settings: %w", err)
	}
	got, err := Settings{}.with(given, plain)
	return s.set(got, err)
}

// MarshalYAML returns a map of what is not zero, for a YAML library to write.
func (s Settings) MarshalYAML() (any, error) {
	if err := s.validate(); err != nil {
		return nil, err
	}
	m := settings.Map(settings.Pairs(&s, fields()))
	doc, err := s.Strategy.MarshalYAML()
	if err != nil {
		return nil, err
	}
	if strategy, ok := doc.(map[string]any); ok { // nil for the zero Config
		for key, value := range strategy {
			if key == "kind" {
				key = "strategy"
			}
			m[key] = value
		}
	}
	return m, nil
}

// UnmarshalYAML reads a mapping, with the names of a DSN without "pool_", or a string, as
// ParseSettings does. A document null changes nothing. The strategy null needs
// quotes in YAML, where the bare word means nothing at all.
func (s *Settings) UnmarshalYAML(unmarshal func(any) error) error {
	var doc any
	if err := unmarshal(&doc); err != nil {
		return err
	}
	switch doc := doc.(type) {
	case nil:
		return nil
	case string:
		return s.UnmarshalText([]byte(doc))
	}
	given, err := settings.YAML(doc)
	if err != nil {
		return fmt.Errorf("manage: settings: %w", err)
	}
	got, err := Settings{}.with(given, plain)
	return s.set(got, err)
}

// set replaces s by what was read, or leaves it alone if there was an error.
func (s *Settings) set(got Settings, err error) error {
	if err != nil {
		return fmt.Errorf("manage: settings: %w", err)
	}
	*s = got
	return nil
}
