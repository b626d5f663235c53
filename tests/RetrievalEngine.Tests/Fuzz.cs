using System;
using NUnit.Framework;

namespace RetrievalEngine.Tests;

/// <summary>
/// Damages files and demands that readers complain in a sentence: <see cref="InputException"/> or nothing, never another exception.
/// </summary>
internal static class Fuzz
{
    private static readonly byte[] s_structural = [.. "{}[]\",:-9\\u"u8, 0, 0xFF, 0x80];

    /// <summary>
    /// Calls <paramref name="read"/> with <paramref name="rounds"/> damaged versions of <paramref name="valid"/>; at least one must be refused.
    /// </summary>
    public static void Run(byte[] valid, Action<byte[]> read, int rounds = 400, int seed = 1)
    {
        Random random = new(seed);
        int refused = 0;
        for (int round = 0; round < rounds; round++)
        {
            byte[] damaged = Damage(valid, random);
            try
            {
                read(damaged);
            }
            catch (InputException e)
            {
                refused++;
                Assert.That(e.Message, Is.Not.Empty);
            }
            catch (Exception e)
            {
                string input = System.Text.Encoding.Latin1.GetString(damaged.AsSpan(0, Math.Min(2000, damaged.Length)));
                Assert.Fail($"seed {seed}, round {round}: {e}\ninput: {input}");
            }
        }

        Assert.That(refused, Is.GreaterThan(0), "no damage was noticed");
    }

    private static byte[] Damage(byte[] valid, Random random)
    {
        byte[] bytes = (byte[])valid.Clone();
        for (int change = random.Next(1, 4); change > 0 && bytes.Length > 0; change--)
        {
            int at = random.Next(bytes.Length);
            switch (random.Next(6))
            {
                case 0:
                    bytes = bytes[..at];
                    break;
                case 1:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 2:
                    bytes[at] = s_structural[random.Next(s_structural.Length)];
                    break;
                case 3:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 4:
                    int length = random.Next(1, 40);
                    bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + length)..]];
                    break;
                default:
                    int copied = Math.Min(random.Next(1, 40), bytes.Length - at);
                    bytes = [.. bytes[..(at + copied)], .. bytes[at..]];
                    break;
            }
        }

        return bytes;
    }
}
