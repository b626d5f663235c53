using System;
using System.Collections.Generic;

namespace RetrievalEngine.Evaluation;

/// <summary>
/// Relevance judgements: for each judged query the grade of each judged document. A grade of 1 or more is relevant unless an evaluation says
/// otherwise; 0 is judged not relevant; below 0 is in the pool but not judged, as in trec_eval.
/// </summary>
public sealed class Qrels
{
    /// <summary>The largest grade (and, negated, the smallest) that a file may hold.</summary>
    public const int MaxGrade = 10_000;

    private readonly Dictionary<string, Dictionary<string, int>> _queries = [];
    private readonly List<string> _queryIds = [];

    /// <summary>Ids of the judged queries, in the order in which they were added.</summary>
    public IReadOnlyList<string> QueryIds => _queryIds;

    /// <summary>Number of judged queries.</summary>
    public int Count => _queryIds.Count;

    /// <summary>The grades of <paramref name="queryId"/>'s judged documents.</summary>
    /// <exception cref="KeyNotFoundException">The query is not judged.</exception>
    public IReadOnlyDictionary<string, int> this[string queryId] => _queries[queryId];

    /// <summary>
    /// Reads judgements: TREC's four columns <c>query 0 document grade</c>, or BEIR's three columns <c>query document grade</c> with or without
    /// a header row.
    /// </summary>
    /// <exception cref="InputException">The file is absent or empty, a line is malformed, or a document is judged twice for a query.</exception>
    public static Qrels Load(string path)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(path);
        return Read(reader);
    }

    /// <summary>Whether <paramref name="queryId"/> is judged, and its documents' grades.</summary>
    public bool TryGet(string queryId, out IReadOnlyDictionary<string, int> grades)
    {
        bool found = _queries.TryGetValue(queryId, out Dictionary<string, int>? judged);
        grades = judged ?? [];
        return found;
    }

    /// <summary>Adds one judgement; false, and nothing is changed, where the document is judged for this query already.</summary>
    public bool TryAdd(string queryId, string docId, int grade)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(grade, MaxGrade);
        ArgumentOutOfRangeException.ThrowIfLessThan(grade, -MaxGrade);
        if (!_queries.TryGetValue(queryId, out Dictionary<string, int>? judged))
        {
            _queries.Add(queryId, judged = []);
            _queryIds.Add(queryId);
        }

        return judged.TryAdd(docId, grade);
    }

    internal static Qrels Read(Utf8LineReader reader)
    {
        Qrels qrels = new();
        Span<Range> fields = stackalloc Range[4];
        int columns = 0;
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            int count = TrecFields.Split(line, fields);
            if (count == 0) continue;
            if (columns == 0)
            {
                if (count is not (3 or 4)) throw reader.Error($"{Columns(count)} where judgements have 4 (query 0 document grade) or BEIR's 3");
                columns = count;
                if (count == 3 && !TrecFields.TryInteger(line[fields[2]], out _)) continue;
            }

            if (count != columns) throw reader.Error($"{Columns(count)} where the lines before have {columns}");
            ReadOnlySpan<byte> gradeField = line[fields[columns - 1]];
            if (!TrecFields.TryInteger(gradeField, out int grade) || Math.Abs((long)grade) > MaxGrade)
                throw reader.Error($"grade \"{TrecFields.Text(gradeField)}\" is not an integer between {-MaxGrade} and {MaxGrade}");
            string query = TrecFields.Text(line[fields[0]]), document = TrecFields.Text(line[fields[columns - 2]]);
            if (!qrels.TryAdd(query, document, grade)) throw reader.Error($"document \"{document}\" is judged twice for query \"{query}\"");
        }

        if (qrels.Count == 0) throw new InputException($"{reader.Name} holds no judgements");
        return qrels;
    }

    private static string Columns(int count) => count > 4 ? "more than 4 columns" : $"{count} columns";
}
