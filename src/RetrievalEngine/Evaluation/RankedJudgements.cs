using System;
using System.Collections.Generic;

namespace RetrievalEngine.Evaluation;

/// <summary>One query's ranking as measures see it: the grade at each rank, and counts.</summary>
internal sealed class RankedJudgements
{
    /// <summary>The grade of a document that is not among the judgements.</summary>
    public const int NotInPool = -1;

    /// <summary>The grade of a document that is among the judgements with a negative grade: pooled, not judged.</summary>
    public const int NotJudged = -2;

    private readonly int[] _relevantUpTo;

    private RankedJudgements(int[] grades, int[] atGrade, EvaluationOptions options)
    {
        Grades = grades;
        AtGrade = atGrade;
        Options = options;
        _relevantUpTo = new int[grades.Length + 1];
        for (int i = 0; i < grades.Length; i++) _relevantUpTo[i + 1] = _relevantUpTo[i] + (IsRelevant(i) ? 1 : 0);
        for (int g = Math.Max(0, options.RelevanceLevel); g < atGrade.Length; g++) Relevant += atGrade[g];
        for (int g = 0; g < Math.Min(atGrade.Length, options.RelevanceLevel); g++) JudgedNotRelevant += atGrade[g];
    }

    /// <summary>Grades by rank, best first; <see cref="NotInPool"/> or <see cref="NotJudged"/> where there is none.</summary>
    public int[] Grades { get; }

    /// <summary>How many judged documents the query has of each grade from 0 on.</summary>
    public int[] AtGrade { get; }

    /// <summary>The options of the evaluation.</summary>
    public EvaluationOptions Options { get; }

    /// <summary>Documents retrieved.</summary>
    public int Retrieved => Grades.Length;

    /// <summary>Relevant documents that the judgements know.</summary>
    public int Relevant { get; }

    /// <summary>Relevant documents retrieved.</summary>
    public int RelevantRetrieved => _relevantUpTo[^1];

    /// <summary>Documents judged not relevant.</summary>
    public int JudgedNotRelevant { get; }

    /// <summary>Whether the document at <paramref name="rank"/> (from 0) is relevant.</summary>
    public bool IsRelevant(int rank) => Grades[rank] >= Options.RelevanceLevel;

    /// <summary>How many of the best <paramref name="depth"/> documents are relevant.</summary>
    public int RelevantUpTo(int depth) => _relevantUpTo[Math.Min(depth, Retrieved)];

    /// <summary>Ranks <paramref name="documents"/> by score, ties by id descending (UTF-8 bytes), and looks each one's grade up.</summary>
    public static RankedJudgements Create(IReadOnlyDictionary<string, int> judged, IReadOnlyList<ScoredDocument> documents, EvaluationOptions options)
    {
        ScoredDocument[] ranked = [.. documents];
        Array.Sort(ranked, static (a, b) => a.Score == b.Score ? Utf8Order.Compare(b.DocId, a.DocId) : b.Score.CompareTo(a.Score));
        int depth = Math.Clamp(options.MaxRetrieved, 0, ranked.Length);
        int[] grades = new int[depth];
        int kept = 0;
        foreach (ScoredDocument document in ranked.AsSpan(0, depth))
        {
            int grade = !judged.TryGetValue(document.DocId, out int judgement) ? NotInPool : judgement < 0 ? NotJudged : judgement;
            if (grade >= 0 || !options.JudgedOnly) grades[kept++] = grade;
        }

        int largest = -1;
        foreach (int grade in judged.Values) largest = Math.Max(largest, grade);
        int[] atGrade = new int[largest + 1];
        foreach (int grade in judged.Values)
        {
            if (grade >= 0) atGrade[grade]++;
        }

        return new RankedJudgements(grades[..kept], atGrade, options);
    }
}
