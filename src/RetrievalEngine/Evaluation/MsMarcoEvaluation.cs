using System;
using System.Collections.Generic;
using System.Linq;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// MRR by the rules of MS MARCO's script: the rank column decides and scores are not looked at; every judgement counts as relevant, whatever its
/// grade; the sum is divided by the number of judged queries. As there, a rank that no line of a query fills holds the document <c>0</c>, and of two
/// lines with the same rank the later one counts.
/// </summary>
/// <param name="MeanReciprocalRank">The mean over the judged queries.</param>
/// <param name="QueriesRanked">Queries of the run.</param>
/// <param name="Depth">Ranks looked at: 10 for MS MARCO passages, 100 for its documents.</param>
public sealed record MsMarcoEvaluation(double MeanReciprocalRank, int QueriesRanked, int Depth)
{
    private const string EmptyRank = "0";

    /// <summary>
    /// Evaluates the run file <paramref name="runPath"/>: three columns <c>query document rank</c>, or TREC's six columns, of which the fourth is the
    /// rank.
    /// </summary>
    /// <exception cref="InputException">The file is absent or empty, a line is malformed, or no query of the run is judged.</exception>
    public static MsMarcoEvaluation Evaluate(Qrels qrels, string runPath, int depth = 10)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(runPath);
        return Evaluate(qrels, reader, depth);
    }

    internal static MsMarcoEvaluation Evaluate(Qrels qrels, Utf8LineReader reader, int depth)
    {
        Dictionary<string, string[]> top = ReadTop(reader, depth);
        double sum = 0;
        int judged = 0;
        foreach (string query in qrels.QueryIds)
        {
            if (!top.TryGetValue(query, out string[]? documents)) continue;
            judged++;
            int first = Array.FindIndex(documents, qrels[query].ContainsKey);
            if (first >= 0) sum += 1.0 / (first + 1);
        }

        if (judged == 0) throw new InputException($"no query of {reader.Name} is judged; compare the query ids in the first column of both files");
        return new MsMarcoEvaluation(sum / qrels.Count, top.Count, depth);
    }

    private static Dictionary<string, string[]> ReadTop(Utf8LineReader reader, int depth)
    {
        Dictionary<string, string[]> top = [];
        HashSet<(string, string)> seen = [];
        Span<Range> fields = stackalloc Range[6];
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            int count = Math.Min(TrecFields.Split(line, fields), 6);
            if (count == 0) continue;
            if (count is not (3 or 6))
                throw reader.Error($"{count} columns where a run has 3 (query document rank) or 6 (query Q0 document rank score tag)");
            ReadOnlySpan<byte> rankField = line[fields[count == 3 ? 2 : 3]];
            if (!TrecFields.TryInteger(rankField, out int rank) || rank < 1)
                throw reader.Error($"rank \"{TrecFields.Text(rankField)}\" is not an integer from 1 on");
            string query = TrecFields.Text(line[fields[0]]);
            if (!top.TryGetValue(query, out string[]? documents)) top.Add(query, documents = [.. Enumerable.Repeat(EmptyRank, depth)]);
            if (rank > depth) continue;
            string document = TrecFields.Text(line[fields[count == 3 ? 1 : 2]]);
            if (!seen.Add((query, document))) throw reader.Error($"document \"{document}\" is there twice for query \"{query}\"");
            documents[rank - 1] = document;
        }

        return top;
    }
}
