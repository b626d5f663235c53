using System;
using System.Buffers;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Runtime.InteropServices;
using System.Text;

namespace RetrievalEngine.Evaluation;

/// <summary>A run: for each query the documents that a system retrieved, with their scores.</summary>
public sealed class RunFile
{
    private static readonly SearchValues<char> s_blanks = SearchValues.Create(" \t\n\v\f\r");

    private readonly Dictionary<string, List<ScoredDocument>> _queries = [];
    private readonly List<string> _queryIds = [];

    /// <summary>An empty run of the system <paramref name="tag"/>.</summary>
    public RunFile(string tag) => Tag = tag;

    /// <summary>The system's name; of a file, the sixth column of its last line.</summary>
    public string Tag { get; private set; }

    /// <summary>Ids of the queries, in the order in which they were added.</summary>
    public IReadOnlyList<string> QueryIds => _queryIds;

    /// <summary>The documents of <paramref name="queryId"/> in the order in which they were added; none where the run lacks the query.</summary>
    public IReadOnlyList<ScoredDocument> this[string queryId] => _queries.TryGetValue(queryId, out List<ScoredDocument>? documents) ? documents : [];

    /// <summary>
    /// Reads a run: TREC's six columns <c>query Q0 document rank score tag</c> (the rank is ignored), or three columns <c>query document rank</c>
    /// (MS MARCO; score = 1 / rank) or <c>query document score</c> (Tevatron). Three columns are ranks where the third holds positive integers
    /// only and each query has a 1.
    /// </summary>
    /// <exception cref="InputException">The file is absent or empty, a line is malformed, or a query has a document twice.</exception>
    public static RunFile Load(string path)
    {
        using Utf8LineReader reader = Utf8LineReader.Open(path);
        return Read(reader);
    }

    /// <summary>Whether the run has <paramref name="queryId"/>.</summary>
    public bool Contains(string queryId) => _queries.ContainsKey(queryId);

    /// <summary>Adds a query with its documents, best first, which must be distinct.</summary>
    /// <exception cref="ArgumentException">The run has the query already.</exception>
    public void Add(string queryId, IEnumerable<ScoredDocument> documents)
    {
        _queries.Add(queryId, [.. documents]);
        _queryIds.Add(queryId);
    }

    /// <summary>
    /// Writes the run to the file <paramref name="path"/>, which appears whole or not at all (see <see cref="Write(TextWriter, RunFormat)"/>).
    /// </summary>
    public void Write(string path, RunFormat format = RunFormat.Trec)
    {
        AtomicFile.Write(path, stream =>
        {
            using StreamWriter writer = new(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 16, leaveOpen: true);
            Write(writer, format);
        });
    }

    /// <summary>
    /// Writes queries and documents in the order in which they were added, ranks from 1; an id with a blank, which no reader could tell from two
    /// columns, is refused. A score is the shortest decimal that reads back as the same
    /// number; where all scores of a query are float32 values, as the same float32 (which keeps their order and their ties).
    /// </summary>
    public void Write(TextWriter writer, RunFormat format = RunFormat.Trec)
    {
        foreach (string query in _queryIds)
        {
            List<ScoredDocument> documents = _queries[query];
            RefuseBlanks(query);
            bool single = documents.TrueForAll(d => (float)d.Score == d.Score);
            for (int i = 0; i < documents.Count; i++)
            {
                ScoredDocument document = documents[i];
                RefuseBlanks(document.DocId);
                writer.Write(query);
                if (format == RunFormat.MsMarco)
                {
                    writer.Write(string.Create(CultureInfo.InvariantCulture, $"\t{document.DocId}\t{i + 1}\n"));
                    continue;
                }

                string score = single
                    ? ((float)document.Score).ToString("R", CultureInfo.InvariantCulture)
                    : document.Score.ToString("R", CultureInfo.InvariantCulture);
                writer.Write(string.Create(CultureInfo.InvariantCulture, $" Q0 {document.DocId} {i + 1} {score} {Tag}\n"));
            }
        }
    }

    internal static RunFile Read(Utf8LineReader reader)
    {
        RunFile run = new("run");
        Dictionary<string, List<long>> lines = [];
        Span<Range> fields = stackalloc Range[6];
        int columns = 0;
        bool ranks = true;
        string query = "";
        while (reader.TryRead(out ReadOnlySpan<byte> line))
        {
            int count = Math.Min(TrecFields.Split(line, fields), 6);
            if (count == 0) continue;
            if (columns == 0)
            {
                if (count is not (3 or 6))
                    throw reader.Error($"{count} columns where a run has 6 (query Q0 document rank score tag) or 3 (query document rank)");
                columns = count;
            }

            if (count != columns) throw reader.Error($"{count} columns where the lines before have {columns}");
            ReadOnlySpan<byte> scoreField = line[fields[columns == 6 ? 4 : 2]];
            if (!TrecFields.TryScore(scoreField, out double score)) throw reader.Error($"score \"{TrecFields.Text(scoreField)}\" is not a number");
            ranks &= columns == 3 && TrecFields.TryInteger(scoreField, out int rank) && rank > 0;
            if (columns == 6) run.SetTag(line[fields[5]]);
            query = Same(query, line[fields[0]]);
            ref List<ScoredDocument>? documents = ref CollectionsMarshal.GetValueRefOrAddDefault(run._queries, query, out bool known);
            if (!known)
            {
                documents = [];
                run._queryIds.Add(query);
                lines.Add(query, []);
            }

            documents!.Add(new ScoredDocument(TrecFields.Text(line[fields[columns == 6 ? 2 : 1]]), score));
            lines[query].Add(reader.LineNumber);
        }

        if (run._queryIds.Count == 0) throw new InputException($"{reader.Name} holds no results");
        run.RefuseDuplicates(reader.Name, lines);
        if (ranks && run._queries.Values.All(static documents => documents.Exists(static d => d.Score == 1))) run.RanksToScores();
        return run;
    }

    private static void RefuseBlanks(string id)
    {
        if (id.Length == 0 || id.AsSpan().ContainsAny(s_blanks))
            throw new InputException($"id \"{id}\" cannot be written to a run, whose columns are separated by blanks; rename it");
    }

    private static string Same(string last, ReadOnlySpan<byte> field)
    {
        Span<byte> bytes = stackalloc byte[64];
        bool isSame = System.Text.Encoding.UTF8.TryGetBytes(last, bytes, out int length) && field.SequenceEqual(bytes[..length]);
        return isSame ? last : TrecFields.Text(field);
    }

    private void SetTag(ReadOnlySpan<byte> field) => Tag = Same(Tag, field);

    private void RefuseDuplicates(string name, Dictionary<string, List<long>> lines)
    {
        Dictionary<string, int> seen = [];
        foreach (string query in _queryIds)
        {
            seen.Clear();
            List<ScoredDocument> documents = _queries[query];
            for (int i = 0; i < documents.Count; i++)
            {
                if (!seen.TryAdd(documents[i].DocId, i))
                {
                    throw new InputException(
                        $"{name} line {lines[query][i]}: document \"{documents[i].DocId}\" is there twice for query \"{query}\" " +
                        $"(first in line {lines[query][seen[documents[i].DocId]]})");
                }
            }
        }
    }

    private void RanksToScores()
    {
        foreach (List<ScoredDocument> documents in _queries.Values)
        {
            foreach (ref ScoredDocument document in CollectionsMarshal.AsSpan(documents)) document = document with { Score = 1 / document.Score };
        }
    }
}
