package lower

import "github.com/comfyc/comfyc/compiler/source"

// Unread is what a conversion does not look at in a workflow of the editor: places and colours of nodes, what is painted around them, the
// names that are shown in the user's language. For [source.Limits]; files in API form have nothing of this, and are not changed by it.
//
// It names lists of objects only ("nodes", "subgraphs", …), since in API form the members of the whole are nodes with ids of any spelling.
var Unread = unread()

func unread() *source.Leave {
	slots := &source.Leave{Items: &source.Leave{Keep: []string{"name", "type", "label", "widget", "link"}}}
	properties := &source.Leave{Keys: []string{"ue_properties", "enableTabs", "tabWidth", "tabXOffset", "hasSecondTab", "secondTabText",
		"secondTabOffset", "secondTabWidth"}}
	node := &source.Leave{Keep: []string{"id", "type", "title", "mode", "widgets_values"},
		Within: []source.LeaveIn{{Key: "inputs", Leave: slots}, {Key: "outputs", Leave: slots}, {Key: "properties", Leave: properties}}}
	ports := &source.Leave{Items: &source.Leave{Keep: []string{"name", "type", "label", "linkIds"}}}

	whole := &source.Leave{Within: []source.LeaveIn{{Key: "nodes", Leave: &source.Leave{Items: node}}, {Key: "groups", Leave: source.NoItems()}}}
	definition := &source.Leave{Keep: []string{"id", "name", "version", "state", "links"}, Within: []source.LeaveIn{
		{Key: "nodes", Leave: &source.Leave{Items: node}}, {Key: "inputs", Leave: ports}, {Key: "outputs", Leave: ports}}}
	definitions := source.LeaveIn{Key: "definitions", Leave: &source.Leave{Within: []source.LeaveIn{
		{Key: "subgraphs", Leave: &source.Leave{Items: definition}}}}}
	whole.Within, definition.Within = append(whole.Within, definitions), append(definition.Within, definitions)
	return whole
}
