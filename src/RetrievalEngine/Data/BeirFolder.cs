using System.IO;

namespace RetrievalEngine.Data;

/// <summary>The files of a collection in BEIR's layout: <c>corpus.jsonl</c>, <c>queries.jsonl</c> and the judgements of a split.</summary>
/// <param name="CorpusPath">The documents.</param>
/// <param name="QueriesPath">The queries; those without judgements in the split belong to other splits.</param>
/// <param name="QrelsPath">The split's judgements.</param>
public sealed record BeirFolder(string CorpusPath, string QueriesPath, string QrelsPath)
{
    /// <summary>
    /// Finds the files in <paramref name="folder"/>. Judgements of <paramref name="split"/> are <c>qrels/SPLIT.tsv</c>, <c>qrels.SPLIT.tsv</c> or
    /// <c>qrels.SPLIT.trec</c>, of the test split also <c>qrels.tsv</c> or <c>qrels.trec</c>; queries are <c>queries.SPLIT.jsonl</c> where there is
    /// one.
    /// </summary>
    /// <exception cref="InputException">A file is missing.</exception>
    public static BeirFolder Open(string folder, string split = "test")
    {
        if (!Directory.Exists(folder)) throw new InputException($"{folder}: no such folder");
        string[] qrels = [Path.Combine("qrels", $"{split}.tsv"), $"qrels.{split}.tsv", $"qrels.{split}.trec"];
        if (split == "test") qrels = [.. qrels, "qrels.tsv", "qrels.trec"];
        return new BeirFolder(
            RecordFile.Resolve(folder, "corpus.jsonl"),
            RecordFile.Resolve(folder, $"queries.{split}.jsonl", "queries.jsonl"),
            RecordFile.Resolve(folder, qrels));
    }
}
