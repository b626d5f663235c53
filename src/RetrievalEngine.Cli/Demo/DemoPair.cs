namespace RetrievalEngine.Cli.Demo;

/// <summary>One training example: a query and the passage that answers it.</summary>
internal sealed record DemoPair(string QueryId, string Query, string DocumentId, string Title, string Text);
