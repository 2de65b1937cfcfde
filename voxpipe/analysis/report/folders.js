// The page of two folders: what differs, and which calls were compared.
difference();
byId("logs").append(table([["Expected", "words"], ["Actual", "words"]], Array.from(
  { length: Math.max(COMPARED.expected.length, COMPARED.actual.length) },
  (_, index) => [COMPARED.expected[index] ?? "", COMPARED.actual[index] ?? ""],
)));
