using System.Collections.Generic;

namespace RetrievalEngine.Cli.Demo;

/// <summary>One member (overloads together) as a document, and the question that it answers.</summary>
/// <param name="Id">Documentation id without parameters, which is what makes overloads one document: <c>M:System.String.Compare</c>.</param>
/// <param name="Title">What a reader sees first: <c>String.Compare method</c>.</param>
/// <param name="Text">Name split into words, signature, parameters, returns and remarks; never the summary.</param>
/// <param name="Split">Where its type went.</param>
internal sealed record DemoDocument(string Id, string Title, string Text, DemoSplit Split)
{
    /// <summary>The summary's first sentence, or null where it is no question that only this document answers.</summary>
    public string? Query { get; init; }

    /// <summary>Further sentences about it that are not in the text: the rest of the summary, summaries of other overloads.</summary>
    public IReadOnlyList<string> OtherSentences { get; init; } = [];

    /// <summary>Sentences of the text that say what comes back.</summary>
    public IReadOnlyList<string> Returns { get; init; } = [];
}
