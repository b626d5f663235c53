using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.TestKit;

/// <summary>Values that depend on the seed alone, as doubles that the storage type can hold exactly.</summary>
public sealed class RandomTensors(int seed)
{
    private readonly Random _random = new(seed);

    /// <summary>Normal values of standard deviation <paramref name="scale"/>.</summary>
    public double[] Normal(long count, double scale = 1, DType dtype = DType.F32)
    {
        double[] values = new double[count];
        for (int i = 0; i < values.Length; i++)
        {
            double radius = Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble()));
            values[i] = Storage.Round(scale * radius * Math.Cos(2 * Math.PI * _random.NextDouble()), dtype);
        }

        return values;
    }

    /// <summary>Values between <paramref name="low"/> and <paramref name="high"/>.</summary>
    public double[] Uniform(long count, double low, double high, DType dtype = DType.F32)
    {
        double[] values = new double[count];
        for (int i = 0; i < values.Length; i++) values[i] = Storage.Round(low + (high - low) * _random.NextDouble(), dtype);
        return values;
    }

    /// <summary>Integers from 0 to <paramref name="below"/> - 1.</summary>
    public int[] Integers(long count, int below)
    {
        int[] values = new int[count];
        for (int i = 0; i < values.Length; i++) values[i] = _random.Next(below);
        return values;
    }
}
