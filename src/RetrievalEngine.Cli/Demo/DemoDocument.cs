namespace RetrievalEngine.Cli.Demo;

/// <summary>One member (overloads together) as a document, and the question that it answers.</summary>
/// <param name="Id">Documentation id without parameters, which is what makes overloads one document: <c>M:System.String.Compare</c>.</param>
/// <param name="Title">What a reader sees first: <c>String.Compare method</c>.</param>
/// <param name="Text">Name split into words, signature, parameters, returns and remarks; never the summary.</param>
/// <param name="Split">Where its type went.</param>
/// <param name="Query">The summary's first sentence, or null where it is no question that only this document answers.</param>
internal sealed record DemoDocument(string Id, string Title, string Text, DemoSplit Split, string? Query);
