package worker

import "encoding/json"

// span is a part of an answer that is left where it stands: json.RawMessage copies, and an answer holds pictures of several megabytes.
// The bytes are those that json.Unmarshal was given, which nobody changes afterwards.
type span []byte

// UnmarshalJSON implements json.Unmarshaler.
func (s *span) UnmarshalJSON(data []byte) error {
	*s = data
	return nil
}

// membersOf reads an object without copying its values.
func membersOf(object []byte) (map[string]json.RawMessage, error) {
	var found map[string]span
	if err := json.Unmarshal(object, &found); err != nil {
		return nil, err
	}
	members := make(map[string]json.RawMessage, len(found))
	for key, value := range found {
		members[key] = json.RawMessage(value)
	}
	return members, nil
}

// itemsOf reads a list without copying its items; anything else is its own only item.
func itemsOf(value json.RawMessage) []json.RawMessage {
	var found []span
	if json.Unmarshal(value, &found) != nil {
		return []json.RawMessage{value}
	}
	items := make([]json.RawMessage, len(found))
	for i, item := range found {
		items[i] = json.RawMessage(item)
	}
	return items
}
