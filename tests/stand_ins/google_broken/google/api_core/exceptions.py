"""As the real one fails where protobuf has another version than its generated code."""

raise TypeError("Descriptors cannot be created directly.")
