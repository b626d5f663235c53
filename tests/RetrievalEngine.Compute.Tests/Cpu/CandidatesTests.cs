using System;
using System.Linq;
using System.Runtime.Intrinsics;
using NUnit.Framework;
using RetrievalEngine.Compute.Cpu;

namespace RetrievalEngine.Compute.Tests.Cpu;

[Category("Ops")]
internal sealed unsafe class CandidatesTests
{
    public enum Order
    {
        Random,
        Rising,
        Falling,
        Ties,
        OneLane,
        Finite,
    }

    [Test]
    public void The_best_of_all_lanes_are_found([Values] Order order, [Values(1, 2, 5, 16)] int lanes, [Values(1, 10, 700, 3000)] int k)
    {
        const int Block = 24, Rows = 20_000;
        Random random = new(1);
        float[] scores = new float[Rows];
        for (int row = 0; row < Rows; row++)
        {
            scores[row] = order switch
            {
                Order.Rising => row - 5000,
                Order.Falling => -row / 3f,
                Order.Ties => random.Next(4) - 2,
                Order.OneLane => random.NextSingle() - (row / Block % lanes == 0 ? 0 : 2),
                _ => random.NextSingle() - 0.5f,
            };
            if (row % 97 == 5) scores[row] = float.NaN;
            if (row % 4001 == 0 && order != Order.Finite) scores[row] = row % 8002 == 0 ? float.PositiveInfinity : -0f;
        }

        (float Score, uint Row)[] found = Collect(scores, lanes, k, Block, float.NegativeInfinity);
        (float Score, uint Row)[] expected = [.. scores.Select((score, row) => (score, (uint)row)).Where(s => !float.IsNaN(s.score))
            .OrderByDescending(s => s.score).ThenBy(s => s.Item2).Take(k)];
        Assert.That(found, Is.EqualTo(expected));
        Assert.That(Collect(scores, lanes, k, Block, 0.25f), Is.EqualTo(expected.TakeWhile(s => s.Score >= 0.25f)), "from a threshold on");
    }

    [Test]
    public void As_many_as_there_are_rows([Values(1, 15, 16, 17, 300)] int rows, [Values(1, 3)] int lanes, [Values(5, 601)] int different)
    {
        float[] scores = [.. Enumerable.Range(0, rows).Select(row => (float)(row * 7 % different))];
        (float Score, uint Row)[] expected = [.. scores.Select((score, row) => (score, (uint)row)).OrderByDescending(s => s.score).ThenBy(s => s.Item2)];
        Assert.That(Collect(scores, lanes, rows, 8, float.NegativeInfinity), Is.EqualTo(expected));
    }

    /// <summary>Blocks of rows go to the lanes in turn, their first rows as vectors; then the lanes' candidates are joined.</summary>
    private static (float Score, uint Row)[] Collect(float[] scores, int lanes, int k, int block, float threshold)
    {
        int room = (int)Candidates.Room(k, scores.Length);
        ulong[] keys = new ulong[room * lanes + 1], floors = new ulong[lanes];
        Candidates[] lists = new Candidates[lanes];
        fixed (ulong* key = keys, floor = floors)
        fixed (float* score = scores)
        {
            keys[^1] = 12345;
            for (int lane = 0; lane < lanes; lane++) lists[lane].Begin(key + lane * room, room, k, threshold, floor, lane, lanes);
            for (int first = 0, lane = 0; first < scores.Length; first += block, lane = (lane + 1) % lanes)
            {
                int row = first, end = Math.Min(first + block, scores.Length);
                for (; row <= end - Vector512<float>.Count; row += Vector512<float>.Count) lists[lane].Add(Vector512.Load(score + row), (uint)row);
                for (; row < end; row++)
                {
                    if (score[row] >= lists[lane].Threshold) lists[lane].Add(score[row], (uint)row);
                }
            }

            for (int lane = 1; lane < lanes; lane++) lists[0].Add(lists[lane]);
            Assert.That(keys[^1], Is.EqualTo(12345), "what lies behind the room");
            return [.. lists[0].Sorted().ToArray().Select(found => (Candidates.Score(found), Candidates.Row(found)))];
        }
    }
}
