using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Data;

/// <summary>Streams queries.</summary>
public static class Queries
{
    private static readonly RecordLayout[] s_layouts =
        [new("_id", "text", "prompt"), new("query_id", "query", "prompt"), new("query_id", "query_text", "prompt"), new("id", "text", "prompt")];

    /// <summary>
    /// The queries of the file <paramref name="path"/>, or of <c>queries.jsonl</c> or <c>queries.tsv</c> in the folder <paramref name="path"/>, in
    /// file order: JSON lines <c>{"_id", "text"}</c> (BEIR), <c>{"query_id", "query"}</c> (Tevatron), <c>{"id", "text"}</c>, or lines
    /// <c>id⇥text</c> (MS MARCO, TREC topics); in JSON a <c>"prompt"</c> that is not empty is the query's own instruction. Errors come while it is enumerated.
    /// </summary>
    /// <exception cref="InputException">The file is absent or empty, a line is malformed or not UTF-8, or an id comes twice.</exception>
    public static IEnumerable<Query> Read(string path)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(Resolve(path));
        foreach (Query query in Read(reader)) yield return query;
    }

    /// <summary>The file of queries: <paramref name="path"/>, or the one in that folder.</summary>
    internal static string Resolve(string path) => RecordFile.Resolve(path, "queries.jsonl", "queries.tsv");

    internal static IEnumerable<Query> Read(Utf8LineReader reader) =>
        RecordFile.Read(reader, s_layouts, allowTsv: true, "queries").Select(static r => new Query(r.Id, r.Text, r.Title.Length > 0 ? r.Title : null));
}
