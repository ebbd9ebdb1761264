package main

// finder searches a text for many secrets at once.
type finder struct{ byPrefix map[string][]secret }

type secret struct {
	value string
	kind  secretKind
}

// prefix is by how much of its beginning a secret is found first. All secrets are longer.
const prefix = 8

// newFinder searches for the secrets of these kinds.
func newFinder(secrets map[string]secretKind, kinds ...secretKind) finder {
	f := finder{map[string][]secret{}}
	for value, kind := range secrets {
		for _, wanted := range kinds {
			if kind == wanted && len(value) >= prefix {
				f.byPrefix[value[:prefix]] = append(f.byPrefix[value[:prefix]], secret{value, kind})
			}
		}
	}
	return f
}

// find returns the kind of each secret in text, in order.
func (f finder) find(text []byte) (found []secretKind) {
	for i := 0; i+prefix <= len(text); i++ {
		for _, s := range f.byPrefix[string(text[i:i+prefix])] {
			if i+len(s.value) <= len(text) && string(text[i:i+len(s.value)]) == s.value {
				found = append(found, s.kind)
			}
		}
	}
	return found
}
