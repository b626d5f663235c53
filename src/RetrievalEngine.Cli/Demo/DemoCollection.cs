using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Linq;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace RetrievalEngine.Cli.Demo;

/// <summary>
/// A retrieval collection out of XML documentation. A document is a member, all its overloads together; a query is the first sentence of its
/// summary, which the document does not hold. A sentence that several members share word for word is no query. Members are split by the outermost
/// type that declares them, types whose names differ in digits alone (Vector128, Vector256) together, so that no text of one split is in another.
/// </summary>
internal sealed partial class DemoCollection
{
    private const int MostSignatures = 3;
    private const int MostMemberNames = 24;
    private const int FewestQueryWords = 4;
    private const int LongestQuery = 300;

    private DemoCollection(IReadOnlyList<DemoDocument> documents, DemoCounts counts)
    {
        Documents = documents;
        Counts = counts;
    }

    /// <summary>Sorted by id.</summary>
    public IReadOnlyList<DemoDocument> Documents { get; }

    /// <summary>How many members became what.</summary>
    public DemoCounts Counts { get; }

    /// <summary>Builds the collection; the same members give the same one in any order.</summary>
    public static DemoCollection Build(IEnumerable<DocumentedMember> members)
    {
        DemoCounts counts = new();
        SortedDictionary<string, List<DocumentedMember>> groups = new(StringComparer.Ordinal);
        HashSet<string> types = new(StringComparer.Ordinal);
        foreach (DocumentedMember member in members)
        {
            counts.Members++;
            if (member.Kind == 'T') types.Add(member.Path);
            if (NotForReaders().IsMatch(member.Path))
            {
                counts.NotReadable++;
                continue;
            }

            string id = $"{member.Kind}:{MethodArity().Replace(member.Path, "")}";
            if (!groups.TryGetValue(id, out List<DocumentedMember>? group)) groups[id] = group = [];
            group.Add(member);
        }

        ILookup<string, string> memberNames = groups.Where(g => g.Key[0] != 'T').Select(g => g.Value[0].Path).Where(p => !p.EndsWith("#ctor", StringComparison.Ordinal))
            .Distinct(StringComparer.Ordinal).ToLookup(p => p[..p.LastIndexOf('.')], p => p[(p.LastIndexOf('.') + 1)..]);
        List<DemoDocument> documents = [];
        foreach ((string id, List<DocumentedMember> group) in groups)
        {
            group.Sort((a, b) => string.CompareOrdinal(a.Signature, b.Signature));
            documents.Add(Document(id, group, memberNames, types, counts));
        }

        Dictionary<string, int> asked = documents.Where(d => d.Query is not null).GroupBy(d => Normal(d.Query!)).ToDictionary(g => g.Key, g => g.Count());
        for (int i = 0; i < documents.Count; i++)
        {
            if (documents[i].Query is not { } query) continue;
            if (asked[Normal(query)] == 1)
            {
                counts.Queries++;
                continue;
            }

            counts.Shared++;
            documents[i] = documents[i] with { Query = null };
        }

        counts.Documents = documents.Count;
        return new DemoCollection(documents, counts);
    }

    /// <summary>A number in [0, 1) that depends on <paramref name="key"/> alone: the same on every machine and for every version.</summary>
    public static double Fraction(string key) => BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(key))) / Math.Pow(2, 64);

    private static DemoDocument Document(string id, List<DocumentedMember> group, ILookup<string, string> memberNames, HashSet<string> types, DemoCounts counts)
    {
        DocumentedMember first = group[0];
        string name = XmlDocumentation.ReferenceName($"{first.Kind}:{first.Path}");
        bool constructor = first.Path.EndsWith("#ctor", StringComparison.Ordinal);
        string kind = constructor ? "constructor" : first.Kind switch { 'T' => "type", 'M' => "method", 'P' => "property", 'F' => "field", _ => "event" };
        string declaring = first.Path[..Math.Max(first.Path.LastIndexOf('.'), 0)];

        StringBuilder text = new(Words(name));
        text.Append(' ').Append(kind).Append(" of ").Append(Arity().Replace(declaring, "")).Append('.');
        string shortName = name[(name.LastIndexOf('.') + 1)..];
        foreach (string signature in group.Select(m => m.Signature).Where(s => s.Length > 0).Distinct().Take(MostSignatures)) text.Append(' ').Append(shortName).Append(signature);
        HashSet<string> seen = [];
        foreach ((string parameter, string description) in group.SelectMany(m => m.Parameters))
            if (description.Length > 0 && seen.Add(description)) text.Append(' ').Append(parameter).Append(": ").Append(description);
        foreach (string returns in group.Select(m => m.Returns))
            if (returns.Length > 0 && seen.Add(returns)) text.Append(" Returns ").Append(returns);
        foreach (string remarks in group.Select(m => m.Remarks))
            if (remarks.Length > 0 && seen.Add(remarks)) text.Append(' ').Append(remarks);
        if (first.Kind == 'T' && memberNames[first.Path].Take(MostMemberNames).ToList() is { Count: > 0 } names)
            text.Append(" Members: ").AppendJoin(", ", names.Select(n => Words(MethodArity().Replace(n, "")))).Append('.');

        string document = text.ToString();
        List<string> sentences = [.. group.SelectMany(m => Sentences(m.Summary)).Distinct()];
        string? query = group.Select(m => Sentences(m.Summary).FirstOrDefault()).FirstOrDefault(s => s is not null && IsQuestion(s));
        if (query is null) counts.NoSummary++;
        else if (Contains(document, query))
        {
            counts.InOwnText++;
            query = null;
        }

        return new DemoDocument(id, $"{name} {kind}", document, Split(first.Path, types))
        {
            Query = query,
            OtherSentences = [.. sentences.Where(s => s != query && IsQuestion(s) && !Contains(document, s))],
            Returns = [.. group.SelectMany(m => Sentences(m.Returns)).Distinct().Where(IsQuestion)],
        };
    }

    private static DemoSplit Split(string path, HashSet<string> types)
    {
        // The outermost type is the shortest prefix that is a type.
        int end = path.IndexOf('.', StringComparison.Ordinal);
        while (end >= 0 && !types.Contains(path[..end])) end = path.IndexOf('.', end + 1);
        string type = end < 0 ? path : path[..end];
        return Fraction(Digits().Replace(Arity().Replace(type, ""), "")) switch
        {
            < 0.45 => DemoSplit.Pretrain,
            < 0.75 => DemoSplit.Train,
            < 0.80 => DemoSplit.Dev,
            _ => DemoSplit.Test,
        };
    }

    /// <summary><c>StringBuilder.AppendFormat</c> → <c>string builder append format</c>; <c>op_Addition</c> → <c>operator addition</c>.</summary>
    internal static string Words(string name) =>
        WordBorder().Replace(name.Replace("op_", "Operator", StringComparison.Ordinal), " ").Replace('.', ' ').Replace('_', ' ').Replace('#', ' ').ToLowerInvariant();

    private static IEnumerable<string> Sentences(string text) =>
        SentenceEnd().Split(text).Where(s => s.Length > 0).Select(s => s.Length <= LongestQuery ? s : s[..s.LastIndexOf(' ', LongestQuery)]);

    private static bool IsQuestion(string sentence) => sentence.Count(c => c == ' ') >= FewestQueryWords - 1;

    private static bool Contains(string text, string sentence) => Normal(text).Contains(Normal(sentence), StringComparison.Ordinal);

    /// <summary>Letters and digits in lower case: two texts that differ elsewhere count as the same, word for word.</summary>
    internal static string Normal(string text) => NotWord().Replace(text.ToLowerInvariant(), " ").Trim();

    // Members named by machine instructions, explicit interface members (System#IDisposable#Dispose) and what compilers generate.
    [GeneratedRegex(@"^System\.Runtime\.Intrinsics\.(X86|Arm|Wasm)\b|#(?!ctor$)|<")]
    private static partial Regex NotForReaders();

    [GeneratedRegex(@"``\d+$")]
    private static partial Regex MethodArity();

    [GeneratedRegex(@"`+\d+")]
    private static partial Regex Arity();

    [GeneratedRegex(@"\d+")]
    private static partial Regex Digits();

    [GeneratedRegex(@"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")]
    private static partial Regex WordBorder();

    [GeneratedRegex(@"(?<=[.?!])\s+(?=[A-Z])")]
    private static partial Regex SentenceEnd();

    [GeneratedRegex(@"[^\p{L}\p{Nd}]+")]
    private static partial Regex NotWord();
}
